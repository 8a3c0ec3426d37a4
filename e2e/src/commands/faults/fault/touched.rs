//! Whose connections an edit may touch.

use crate::faults::traffic::Target;

pub(super) fn everything(_: &Target) -> bool {
    true
}

pub(super) fn nothing(_: &Target) -> bool {
    false
}

pub(super) fn ipv4(target: &Target) -> bool {
    !target.is_ipv6
}

pub(super) fn ipv6(target: &Target) -> bool {
    target.is_ipv6
}
