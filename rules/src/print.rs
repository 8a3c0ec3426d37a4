//! The ruleset as text that `nft -f` loads.
use crate::{
    model::Family,
    ruleset::{Element, SetId},
};
/// tmp
pub fn element(_: SetId, _: Family, e: &Element) -> String {
    format!("{e:?}")
}
