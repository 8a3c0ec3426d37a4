//! Which Services a question is about.

use super::query::Query;
use rules::model::ObjectName;

/// Which Services are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One.
    Service(ObjectName),
    /// All of a namespace.
    Namespace(String),
    /// All.
    All,
}

impl Asked {
    /// All objects of the namespace, or of all of them.
    pub(super) fn query(&self) -> Query {
        match self {
            Self::Service(name) => Query::namespace(&name.namespace),
            Self::Namespace(namespace) => Query::namespace(namespace),
            Self::All => Query::all(),
        }
    }
}
