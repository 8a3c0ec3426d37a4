//! Counting calls, and doing to them what the plan says.

use std::ffi::OsString;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::{c_int, ssize_t};

use crate::plan::{Action, Call, Plan};
use crate::{datagram, socket};

static STATE: Mutex<State> = Mutex::new(State {
    id: 0,
    calls: 0,
    batch: None,
    refused: None,
});

struct State {
    /// The plan that is being followed.
    id: u64,
    /// Calls that it counts, so far.
    calls: u64,
    /// Who sent the last transaction since the plan was made.
    batch: Option<c_int>,
    /// A transaction that was not sent: its socket, its first header, and the answer that it gets.
    refused: Option<(c_int, Vec<u8>, i32)>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn control() -> Option<&'static OsString> {
    static FILE: OnceLock<Option<OsString>> = OnceLock::new();
    FILE.get_or_init(|| std::env::var_os("INJECT_CONTROL"))
        .as_ref()
}

fn plan() -> Option<Plan> {
    Plan::parse(&std::fs::read_to_string(control()?).ok()?)
}

impl State {
    /// What is to happen to a call, of which `counts` tells whether a plan is about it.
    fn next(&mut self, plan: Option<Plan>, counts: impl Fn(&Self, Call) -> bool) -> Option<Action> {
        let plan = plan?;
        if plan.id != self.id {
            self.id = plan.id;
            self.calls = 0;
            self.batch = None;
        }
        if !counts(self, plan.call) {
            return None;
        }
        self.calls += 1;
        (plan.first..plan.first + plan.count)
            .contains(&self.calls)
            .then_some(plan.action)
    }

    fn done(&self) {
        let Some(path) = control() else { return };
        let mut path = path.clone();
        path.push(".done");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        if let Ok(mut file) = file {
            // Whoever waits for it finds that it is missing.
            writeln!(file, "{} {}", self.id, self.calls).ok();
        }
    }
}

fn fail(errno: i32) -> ssize_t {
    // SAFETY: the calling thread's own variable.
    unsafe { *libc::__errno_location() = errno };
    -1
}

fn die() -> ! {
    // SAFETY: takes no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    loop {
        std::thread::park();
    }
}

/// Sends by `real`, unless the plan is against it.
pub(crate) fn send(fd: c_int, bytes: &[u8], real: impl Fn() -> ssize_t) -> ssize_t {
    let is_batch = datagram::is_batch(bytes);
    let action = {
        let mut state = state();
        let action = state.next(plan(), |_, call| match call {
            Call::Any => true,
            Call::Batch => is_batch,
            _ => false,
        });
        if is_batch {
            state.batch = Some(fd);
        }
        if action.is_some() {
            state.done();
        }
        if let Some(Action::Refuse(errno)) = action {
            let header = bytes.get(..16).unwrap_or_default().to_vec();
            state.refused = Some((fd, header, errno));
        }
        action
    };
    match action {
        Some(Action::Fail(errno)) => fail(errno),
        Some(Action::Refuse(_)) => ssize_t::try_from(bytes.len()).unwrap_or(ssize_t::MAX),
        Some(Action::DieBefore) => die(),
        Some(Action::DieAfter) => {
            real();
            die()
        }
        Some(Action::Interrupt) | None => real(),
    }
}

/// Receives by `real`, unless the plan is against it.
pub(crate) fn receive(fd: c_int, bytes: &mut [u8], real: impl Fn() -> ssize_t) -> ssize_t {
    {
        let mut state = state();
        if let Some((_, header, errno)) = state.refused.take_if(|(sender, ..)| *sender == fd) {
            let length = datagram::refusal(&header, errno, bytes);
            return ssize_t::try_from(length).unwrap_or(ssize_t::MAX);
        }
    }
    let plan = plan();
    // What it is about is known only afterwards.
    let length = match plan.map(|plan| plan.call) {
        Some(Call::List | Call::Notification) => real(),
        _ => 0,
    };
    let listens = socket::listens(fd);
    let got = usize::try_from(length).unwrap_or(0).min(bytes.len());
    let action = {
        let mut state = state();
        let action = state.next(plan, |state, call| match call {
            Call::Any => true,
            Call::Batch => false,
            Call::Answer => state.batch == Some(fd),
            Call::List => datagram::is_list(&bytes[..got]),
            Call::Notification => listens && got > 0,
        });
        if action.is_some() {
            state.done();
        }
        action
    };
    let was_read = plan.is_some_and(|plan| matches!(plan.call, Call::List | Call::Notification));
    let read = || if was_read { length } else { real() };
    match action {
        Some(Action::Fail(errno)) => {
            // What an overrun loses is lost; an interrupted call loses nothing.
            if errno != libc::EINTR {
                read();
            }
            fail(errno)
        }
        Some(Action::Interrupt) => {
            datagram::interrupt(&mut bytes[..got]);
            length
        }
        Some(Action::DieBefore) => die(),
        Some(Action::DieAfter) => {
            read();
            die()
        }
        Some(Action::Refuse(_)) | None => read(),
    }
}
