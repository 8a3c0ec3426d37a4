//! Single cases: what a change does to the chains.

use super::*;

#[test]
fn nothing_is_left_to_do_after_a_sync() {
    let mut state = State::new();
    let mut planner = Planner::new(config(Family::V4));
    let mut kernel = Memory::new();
    sync(&mut planner, &mut state, &mut kernel);
    assert!(planner.prepare(state.view(), &[]).is_none());
    planner.agenda.mark(&[name(0)]);
    assert!(planner.prepare(state.view(), &[]).is_none());
}
