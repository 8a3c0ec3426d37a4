//! What the rules counted, and whose connections are open, as metrics: connections and refused
//! packets always, per Service on request.
//!
//! A thread of its own reads when somebody asks for metrics, and not more often than every two
//! seconds. No sync waits for it: the sync loop is asked whose frontends are, some at a time, and
//! reads by itself only what a table counted that it is about to replace, unless the thread is at
//! it.

mod kernel;
mod owners;
mod thread;

pub(crate) use kernel::Tables;
pub(crate) use owners::Question;
pub(crate) use thread::start;

use std::sync::{Arc, Mutex};

/// The families' tables, which the thread and whoever replaces a table read.
pub(crate) type Shared = Arc<Mutex<Tables>>;
