//! What a fault is, and how one is run amid traffic.

mod addresses;
mod api;
mod churn;
mod clock;
mod conntrack;
mod contest;
mod edits;
mod half_open;
mod hostile;
mod iptables;
mod kill;
mod network;
mod resources;
mod socket;
mod swap;
mod touched;

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::faults::objects::Service;
use crate::faults::report::Row;
use crate::faults::site::Site;
use crate::faults::traffic::{Report, Source, Target};
use crate::mode::Mode;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// For every change of the code.
    Short,
    /// As often as the promises say.
    Long,
}

impl Scale {
    pub(crate) fn choose<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// How a fault went.
pub(crate) struct Course {
    pub(crate) times: u32,
    /// The longest time until all was well again.
    pub(crate) recovered: Duration,
}

type Run = Box<dyn Fn(&mut Site, Scale) -> Result<Course> + Send + Sync>;

/// A fault, by name.
pub(crate) struct Fault {
    pub(crate) name: String,
    /// How long recovery may take.
    pub(crate) limit: Duration,
    /// What may fail because of it: new connections only.
    touches: fn(&Target) -> bool,
    /// Whether the kernel stops to translate what it translated, so that a connection by a node
    /// port that it touches ends at the node's own TCP.
    unhooks: bool,
    /// It mostly waits, so that others can be run beside it.
    pub(crate) waits: bool,
    /// The daemon's mode.
    pub(crate) mode: Mode,
    run: Run,
}

impl Fault {
    /// One that touches no Service but `busy`, whose endpoints it changes.
    fn new(
        name: &str,
        limit: Duration,
        run: impl Fn(&mut Site, Scale) -> Result<Course> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            limit,
            touches: |target| target.service == Service::Busy,
            unhooks: false,
            waits: false,
            mode: Mode::Nftables,
            run: Box::new(run),
        }
    }

    /// The same, touching something else.
    fn touching(self, touches: fn(&Target) -> bool) -> Self {
        Self { touches, ..self }
    }

    /// The same, and the kernel may be without NAT for a moment.
    fn unhooking(self, unhooks: bool) -> Self {
        Self { unhooks, ..self }
    }

    /// The same, beside others.
    fn waiting(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }

    /// The same, of a daemon in this mode.
    fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Runs it on a site where all is well; whatever goes wrong stands in the row.
    pub(crate) fn run(&self, site: &mut Site, scale: Scale) -> Row {
        let begun = Instant::now();
        let mut row = Row::new(&self.name, self.limit);
        let result = self.amid_traffic(site, scale, &mut row);
        row.error = result.err().map(|error| format!("{error:#}"));
        row.took_s = begun.elapsed().as_secs_f64();
        if !row.holds() {
            site.save(&row.name);
        }
        row
    }

    /// The row of one that could not be tried.
    pub(crate) fn impossible(&self, error: &anyhow::Error) -> Row {
        Row {
            error: Some(format!("no site for it: {error:#}")),
            ..Row::new(&self.name, self.limit)
        }
    }

    fn amid_traffic(&self, site: &mut Site, scale: Scale, row: &mut Row) -> Result<()> {
        // Connections before and after it, so that it happens amid them.
        const MARGIN: Duration = Duration::from_millis(600);
        let traffic = site.traffic()?;
        std::thread::sleep(MARGIN);
        let course = (self.run)(site, scale);
        let settled = course.and_then(|course| {
            site.awaits_plan(Duration::from_secs(5))?;
            site.proxy()?.check()?;
            Ok(course)
        });
        std::thread::sleep(MARGIN);
        self.count(&traffic.stop()?, row);
        let course = settled?;
        row.times = course.times;
        row.recovered_s = course.recovered.as_secs_f64();
        Ok(())
    }

    fn count(&self, report: &Report, row: &mut Row) {
        for (target, seen) in &report.fresh {
            row.new_asked += seen.asked;
            let failed = seen.failed.len() as u64;
            if (self.touches)(target) {
                row.touched_failed += failed;
                continue;
            }
            row.new_failed += failed;
            let lines = seen.failed.iter().take(3);
            row.details
                .extend(lines.map(|(at, why)| format!("new {target} at {at:.2} s: {why}")));
        }
        for (target, seen) in &report.held {
            row.established_asked += seen.asked;
            row.established_repeated += seen.repeated;
            let broken = seen.failed.len() as u64;
            if self.unhooks && (self.touches)(target) && target.source == Source::Outside {
                row.untranslated_broken += broken;
                continue;
            }
            row.established_broken += broken;
            let lines = seen.failed.iter();
            row.details
                .extend(lines.map(|(at, why)| format!("held {target} at {at:.2} s: {why}")));
        }
        row.details.truncate(12);
    }
}

/// Every fault, in the order of the report.
pub(crate) fn all() -> Vec<Fault> {
    let groups = [
        api::faults(),
        half_open::faults(),
        network::faults(),
        kill::faults(),
        edits::faults(),
        contest::faults(),
        socket::faults(),
        clock::faults(),
        resources::faults(),
        conntrack::faults(),
        addresses::faults(),
        churn::faults(),
        hostile::faults(),
        swap::faults(),
        iptables::faults(),
    ];
    groups.into_iter().flatten().collect()
}
