//! Services that the kernel refuses: whose objects those are, and going on without them.

use super::{Pending, Planner};
use crate::model::ObjectName;
use crate::nft::Object;
use crate::nft::ruleset::ChainId;
use crate::nft::service::ServiceObjects;
use std::collections::{BTreeSet, HashMap, HashSet};

impl Planner {
    /// The Services that a prepared sync has these objects for. Of several that have one object
    /// and should not, the first one keeps it.
    pub fn owners(&self, pending: &Pending, objects: &[Object]) -> BTreeSet<ObjectName> {
        let mut owners: HashMap<&Object, Vec<&ObjectName>> = HashMap::new();
        let wanted: HashSet<&Object> = objects.iter().collect();
        for (name, plan) in &pending.services.services {
            let Some(plan) = plan else { continue };
            let mut own = HashSet::new();
            self.for_each_object(name, plan, &mut |object| own.extend(wanted.get(&object)));
            for object in own {
                owners.entry(object).or_default().push(name);
            }
        }
        let blamed = owners.into_iter().flat_map(|(object, mut owners)| {
            let may_have_many = match object {
                Object::Element(set, _) => set.is_shared(),
                Object::Chain(chain) => matches!(chain, ChainId::Sources(_)),
                Object::Clients(_) => false,
            };
            if owners.len() > 1 && !may_have_many {
                owners.remove(0);
            }
            owners
        });
        blamed.cloned().collect()
    }

    fn for_each_object(
        &self,
        name: &ObjectName,
        plan: &ServiceObjects,
        each: &mut impl FnMut(Object),
    ) {
        plan.for_each_element(name, &mut |set, element| {
            each(Object::Element(set, element.key));
        });
        for chain in plan.shared_chains() {
            // The others are many Services' and nobody's fault.
            if matches!(chain, ChainId::Sources(_)) {
                each(Object::Chain(chain));
            }
        }
        for chain in plan.chains(&self.config, name) {
            each(Object::Chain(chain.id));
        }
        for set in plan.affinity_sets(name) {
            each(Object::Clients(set));
        }
    }

    /// From now on these are planned as if they were not there, until they change or are
    /// [taken back](Self::take_back).
    pub fn leave_out(&mut self, services: impl IntoIterator<Item = ObjectName>) {
        self.agenda.leave_out(services);
    }

    /// These are planned again.
    pub fn take_back<'a>(&mut self, services: impl IntoIterator<Item = &'a ObjectName>) {
        self.agenda.take_back(services);
    }

    /// Those that are left out.
    pub fn left_out(&self) -> &BTreeSet<ObjectName> {
        self.agenda.left_out()
    }
}
