//! Which servers of health check node ports there are to be.

use rules::HealthCheck;
use rules::model::{Family, ObjectName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What a sync changes of one family's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthUpdate {
    /// Each family has servers of its own.
    pub family: Family,
    /// Where they listen.
    pub addresses: Vec<IpAddr>,
    /// The checks that changed; `None` for those that are gone.
    pub checks: Vec<(ObjectName, Option<HealthCheck>)>,
}

/// Whose server it is, and where it listens.
pub(super) type Place = (ObjectName, SocketAddr);

/// What one family's servers are to be.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    addresses: Vec<IpAddr>,
    checks: BTreeMap<ObjectName, HealthCheck>,
}

impl Wanted {
    /// Where a check's servers listen.
    fn places(&self, service: &ObjectName, check: HealthCheck) -> impl Iterator<Item = Place> {
        let socket = move |address: &IpAddr| SocketAddr::new(*address, check.port);
        let addresses = self.addresses.iter().map(socket);
        addresses.map(move |address| (service.clone(), address))
    }

    /// Takes in an update: which servers it takes away, and which there are to be instead, with
    /// the endpoints that they tell of.
    pub(super) fn update(
        &mut self,
        update: HealthUpdate,
    ) -> (BTreeSet<Place>, BTreeMap<Place, usize>) {
        let moved = self.addresses != update.addresses;
        let mut touched: BTreeSet<ObjectName> =
            update.checks.iter().map(|(name, _)| name.clone()).collect();
        if moved {
            touched.extend(self.checks.keys().cloned());
        }
        let mut lost = BTreeSet::new();
        for service in &touched {
            if let Some(check) = self.checks.get(service) {
                lost.extend(self.places(service, *check));
            }
        }
        self.addresses = update.addresses;
        for (service, check) in update.checks {
            match check {
                Some(check) => self.checks.insert(service, check),
                None => self.checks.remove(&service),
            };
        }
        let mut gained = BTreeMap::new();
        for service in &touched {
            if let Some(check) = self.checks.get(service) {
                let places = self.places(service, *check);
                gained.extend(places.map(|place| (place, check.local_endpoints)));
            }
        }
        lost.retain(|place| !gained.contains_key(place));
        (lost, gained)
    }
}
