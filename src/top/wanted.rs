//! Whose rows are asked for.

use crate::inspect::Asked;
use rules::model::ObjectName;

/// Reads `NAMESPACE` or `NAMESPACE/NAME`, and nothing as all Services; `None` if it is neither.
pub fn asked(text: &str) -> Option<Asked> {
    let is_name = |name: &str| !name.is_empty() && !name.contains('/');
    match text.split_once('/') {
        None if text.is_empty() => Some(Asked::All),
        None => Some(Asked::Namespace(text.to_owned())),
        Some((namespace, name)) => (is_name(namespace) && is_name(name))
            .then(|| Asked::Service(ObjectName::new(namespace, name))),
    }
}

/// Whether a Service is asked for.
pub(super) fn is_wanted(asked: &Asked, service: &ObjectName) -> bool {
    match asked {
        Asked::All => true,
        Asked::Namespace(namespace) => **namespace == *service.namespace,
        Asked::Service(name) => name == service,
    }
}
