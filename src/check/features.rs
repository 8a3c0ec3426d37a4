//! The kernel's parts, tried one by one in a network namespace that is made for it.

use crate::netlink::trial::{Part, Trial};
use nix::sched::{CloneFlags, unshare};
use rules::check::{Feature, Seen};
use rules::model::Family;
use std::io;

/// The answer to one trial.
type Attempt<'a> = dyn FnMut(Part, Family) -> io::Result<()> + 'a;

/// What was tried, and whether that was in a namespace of its own: the namespace goes with the
/// thread that made it. Who may make none has the kernel look at transactions that it does not
/// keep.
pub(super) fn tried(families: &[Family]) -> (Seen<Vec<Feature>>, bool) {
    let alone = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("check".to_owned());
        let made = thread.spawn_scoped(scope, || {
            unshare(CloneFlags::CLONE_NEWNET).ok()?;
            Some(with(Trial::in_this_namespace(), families))
        });
        made.ok()?.join().ok()?
    });
    match alone {
        Some(tried) => (tried, true),
        None => (with(Trial::rehearsal(), families), false),
    }
}

fn with(trial: io::Result<Trial>, families: &[Family]) -> Seen<Vec<Feature>> {
    let mut trial = trial.map_err(|error| format!("opening a netlink socket: {error}"))?;
    features(families, &mut |part, family| trial.attempt(part, family))
}

/// Each part, in each family; an error if the kernel does not permit to ask.
fn features(families: &[Family], attempt: &mut Attempt<'_>) -> Seen<Vec<Feature>> {
    let mut features = Vec::new();
    for part in Part::ALL {
        for family in families {
            let lack = match attempt(part, *family) {
                Ok(()) => None,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => {
                        return Err("not permitted: the capability NET_ADMIN is missing".to_owned());
                    }
                    _ => Some(error.to_string()),
                },
            };
            features.push(Feature {
                name: part.name().to_owned(),
                module: part.module(*family).to_owned(),
                family: *family,
                lack,
            });
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_missing_is_one_feature_and_no_right_is_none() {
        let mut without_fib = |part, family| match (part, family) {
            (Part::Fib, Family::V6) => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            _ => Ok(()),
        };
        let found = features(&Family::ALL, &mut without_fib).expect("an answer");
        assert_eq!(found.len(), Part::ALL.len() * 2);
        let lacking: Vec<&Feature> = found.iter().filter(|found| found.lack.is_some()).collect();
        assert_eq!(lacking.len(), 1);
        assert_eq!(
            (&*lacking[0].name, &*lacking[0].module),
            ("fib", "nft_fib_ipv6")
        );
        let mut nothing = |_, _| Err(io::Error::from_raw_os_error(libc::EPERM));
        let error = features(&[Family::V4], &mut nothing).expect_err("no rights");
        assert!(error.contains("NET_ADMIN"), "{error}");
    }

    #[test]
    fn this_kernel_has_them_all_and_nothing_is_left() {
        let (found, own_namespace) = tried(&Family::ALL);
        assert!(own_namespace, "tests have the rights for it");
        let lacking: Vec<Feature> = (found.expect("an answer").into_iter())
            .filter(|feature| feature.lack.is_some())
            .collect();
        assert_eq!(lacking, []);
    }
}
