//! The Services of one sync, for as long as it lasts.

use super::ServicePlan;
use crate::model::ObjectName;
use crate::ruleset::{Element, SetId};

/// What the Services of one sync need. The elements of a large cluster are made
/// one after the other when somebody asks for them, and never are all there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedServices {
    /// In the order of their names; `None` for those that are gone.
    pub(crate) services: Vec<(ObjectName, Option<ServicePlan>)>,
}

impl PlannedServices {
    /// The elements of one set. Those of sets whose elements several Services
    /// share may come more than once.
    pub fn elements(&self, set: SetId) -> impl Iterator<Item = Element> {
        self.services.iter().flat_map(move |(name, plan)| {
            let plan = plan.as_ref();
            let own = plan.map(|plan| plan.elements(name, |own| own == set));
            own.unwrap_or_default()
                .into_iter()
                .map(|(_, element)| element)
        })
    }
}
