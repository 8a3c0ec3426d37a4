//! What the flags of `top` say.

use super::order::Order;
use crate::inspect::Asked;
use crate::report::Output;
use std::time::Duration;

/// What the flags say.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose rows.
    pub asked: Asked,
    /// In which order.
    pub order: Order,
    /// How many at the most; 0 for all. A screen shows those that fit.
    pub rows: usize,
    /// The time between two looks.
    pub interval: Duration,
    /// In which form.
    pub form: Form,
}

/// In which form looks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One, as a report.
    Report(Output),
    /// One, as a line of JSON.
    Line,
    /// One after the other, a line of JSON each.
    Lines,
    /// One after the other, on the terminal.
    Screen,
}
