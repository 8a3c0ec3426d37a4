//! Follows one kind: asks, reads the answers, hands the objects on.

use super::event::{self, Lines, WatchEvent};
use super::failure::{Failure, Refusal, Undecodable};
use super::list::List;
use super::log::{Log, Phase};
use super::progress::{Ask, Progress};
use super::request::{Target, watch_time};
use anyhow::Context;
use bytes::Bytes;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::{Client, Resource};
use rules::{Change, ObjectKind};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

/// How long a streamed list may bring no object. API servers that do not know
/// of it send the objects and never say that those are all.
const STREAM_SILENCE: Duration = Duration::from_secs(30);
/// And how long it may take in all, as such a server goes on with what happens
/// to the objects, new ones included.
const STREAM_LIMIT: Duration = Duration::from_secs(300);
/// The largest refusal that is read.
const MAX_REFUSAL: usize = 64 << 10;

/// One kind of object, and how it becomes an event.
pub struct Follow<'a, K, F> {
    client: Client,
    target: Target,
    kind: ObjectKind,
    events: &'a Sender<Change>,
    log: Log,
    convert: F,
    progress: Progress,
    of: PhantomData<fn() -> K>,
}

/// What follows a failure that is not part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Another attempt, after a pause.
    ForEver,
    /// The end, unless the API server asks to be asked again. After its list nothing is watched.
    Once,
}

/// How an answer went that did not fail.
enum End {
    /// A page came.
    Page,
    /// The server ended a watch.
    Watch,
}

/// What came of an answer.
#[derive(Default)]
struct Tally {
    /// When its headers were there.
    begun: Option<Instant>,
    /// Lines of a watch.
    lines: u64,
}

impl<'a, K, F> Follow<'a, K, F>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Send + 'static,
    F: FnMut(&K) -> (Option<Change>, Vec<String>),
{
    /// Nothing is asked before [`run`](Self::run).
    pub fn new(
        client: Client,
        target: Target,
        kind: ObjectKind,
        events: &'a Sender<Change>,
        log: Log,
        convert: F,
    ) -> Self {
        Self {
            client,
            target,
            kind,
            events,
            log,
            convert,
            progress: Progress::default(),
            of: PhantomData,
        }
    }

    /// For ever, unless a failure is the end.
    ///
    /// # Errors
    /// The receiver is gone, or what failed is not to be tried again.
    pub async fn run(mut self, persistence: Persistence) -> anyhow::Result<()> {
        loop {
            let ask = self.progress.ask().clone();
            if persistence == Persistence::Once && matches!(ask, Ask::Watch { .. }) {
                // Whoever wanted the list ends this when all others are complete, too.
                return std::future::pending().await;
            }
            let wanted = watch_time(fastrand::f64());
            let mut tally = Tally::default();
            let result = self.perform(&ask, wanted, &mut tally).await;
            let lived = tally.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
            let result = match result {
                Ok(End::Page) => Ok(Duration::ZERO),
                Ok(End::Watch) => {
                    let random = fastrand::f64();
                    self.progress.ended(lived, tally.lines, wanted, random)
                }
                Err(failure) => Err(failure),
            };
            let pause = match result {
                Ok(pause) => pause,
                Err(Failure::NoReceiver) => anyhow::bail!(Failure::NoReceiver),
                Err(failure) if self.goes_another_way(&failure, persistence) => {
                    let pause = self.progress.failed(&failure, lived, fastrand::f64());
                    match self.progress.ask() {
                        Ask::Page { .. } => Duration::ZERO,
                        _ => pause,
                    }
                }
                Err(failure) if self.is_final(&failure, lived, persistence) => {
                    return Err(failure).with_context(|| format!("listing {}", self.log.what()));
                }
                Err(failure) => {
                    // Whoever waits for a command waits for its second way no longer.
                    let at_once =
                        persistence == Persistence::Once && self.progress.has_another_way(&failure);
                    let pause = self.failed(&ask, &failure, lived);
                    if at_once { Duration::ZERO } else { pause }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Who asks once does not wait for the same by pages, and hears nothing of the first way.
    fn goes_another_way(&self, failure: &Failure, persistence: Persistence) -> bool {
        persistence == Persistence::Once && self.progress.has_another_way(failure)
    }

    fn is_final(&self, failure: &Failure, lived: Duration, persistence: Persistence) -> bool {
        persistence == Persistence::Once
            && !self.progress.expects(failure, lived)
            && failure.retry_after().is_none()
    }

    /// Says so, and how long to wait.
    fn failed(&mut self, ask: &Ask, failure: &Failure, lived: Duration) -> Duration {
        let expected = self.progress.expects(failure, lived);
        let phase = match ask {
            Ask::Watch { .. } => Phase::Watch,
            // The list was complete, what came after it failed.
            _ if matches!(self.progress.ask(), Ask::Watch { .. }) => Phase::Watch,
            _ => Phase::List,
        };
        self.log.failed(phase, failure, expected);
        self.progress.failed(failure, lived, fastrand::f64())
    }

    async fn perform(
        &mut self,
        ask: &Ask,
        wanted: Duration,
        tally: &mut Tally,
    ) -> Result<End, Failure> {
        let patience = self.progress.patience();
        let request = self.target.request(ask, wanted, patience);
        let request = request.map_err(|error| Failure::of(&error))?;
        let answer = self.client.send(request).await;
        let (head, body) = answer.map_err(|error| Failure::of(&error))?.into_parts();
        if !head.status.is_success() {
            let body = beginning(body).await;
            let refusal = Refusal::answer(head.status, &head.headers, &body);
            return Err(Failure::Refused(refusal));
        }
        tally.begun = Some(Instant::now());
        self.log.metrics.heard();
        match ask {
            Ask::Page { token, .. } => {
                if token.is_none() {
                    self.list_begins().await?;
                }
                self.page(body).await?;
                Ok(End::Page)
            }
            Ask::Stream { .. } => {
                self.list_begins().await?;
                self.events(body, Some(Listing::new()), tally).await?;
                Ok(End::Watch)
            }
            Ask::Watch { .. } => {
                self.events(body, None, tally).await?;
                Ok(End::Watch)
            }
        }
    }

    async fn page(&mut self, mut body: Body) -> Result<(), Failure> {
        let mut list = List::default();
        while let Some(piece) = self.next(&mut body).await? {
            let mut objects = Vec::new();
            list.push(&piece, |object| {
                objects.push(event::object_of(object));
            })?;
            for object in objects {
                match object {
                    Ok(object) => self.applied(&object).await?,
                    Err(undecodable) => self.log.left_out(&undecodable),
                }
            }
        }
        let end = list.end()?;
        match end.token {
            Some(token) => self.progress.more(token),
            None => self.listed(end.version).await?,
        }
        Ok(())
    }

    /// The lines of a watch, to its end; `listing` if it begins with a list.
    async fn events(
        &mut self,
        mut body: Body,
        mut listing: Option<Listing>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut lines = Lines::default();
        loop {
            while let Some(line) = lines.next()? {
                tally.lines += 1;
                if let Some(event) = event::read(&line)? {
                    self.event(event, &mut listing).await?;
                }
            }
            let next = self.next(&mut body);
            let piece = match &mut listing {
                Some(listing) => listing.within(next).await?,
                None => next.await?,
            };
            match piece {
                Some(piece) => lines.push(&piece),
                None => break,
            }
        }
        match event::read(&lines.rest()) {
            // An event that was cut off comes again in the next watch.
            Err(Failure::Garbage(_)) | Ok(None) => {}
            Err(failure) => return Err(failure),
            Ok(Some(event)) => self.event(event, &mut listing).await?,
        }
        match listing {
            Some(_) => Err(Failure::Incomplete("ended before it was complete")),
            None => Ok(()),
        }
    }

    async fn event(
        &mut self,
        event: WatchEvent<K>,
        listing: &mut Option<Listing>,
    ) -> Result<(), Failure> {
        let version = match event {
            WatchEvent::Applied { object, added } => {
                self.applied(&object).await?;
                if let Some(listing) = listing.as_mut().filter(|_| added) {
                    listing.quiet = Duration::ZERO;
                }
                object.meta().resource_version.clone()
            }
            WatchEvent::Deleted { metadata } => {
                self.log.forget(&metadata);
                self.send(self.log.gone(&metadata)).await?;
                metadata.resource_version
            }
            WatchEvent::Undecodable(undecodable) => {
                return self.undecodable(&undecodable, listing.as_mut());
            }
            WatchEvent::Bookmark {
                version,
                end_of_list,
            } => {
                if listing.is_some() && end_of_list {
                    *listing = None;
                    return self.listed(version).await;
                }
                self.progress.bookmarked();
                Some(version)
            }
            WatchEvent::Unknown(kind) => {
                self.log.unknown(&kind);
                None
            }
        };
        if listing.is_none() {
            self.log.works();
            if let Some(version) = version.filter(|own| !own.is_empty()) {
                self.progress.heard(version);
            }
        }
        Ok(())
    }

    /// In a list it is left out. Later on a new list tells what became of the object.
    fn undecodable(
        &mut self,
        undecodable: &Undecodable,
        listing: Option<&mut Listing>,
    ) -> Result<(), Failure> {
        let Some(listing) = listing else {
            self.log.undecodable(undecodable);
            return Err(Failure::Undecodable);
        };
        self.log.left_out(undecodable);
        listing.quiet = Duration::ZERO;
        Ok(())
    }

    async fn applied(&mut self, object: &K) -> Result<(), Failure> {
        let (event, problems) = (self.convert)(object);
        self.log.problems(object.meta(), problems);
        let event = event.unwrap_or_else(|| self.log.gone(object.meta()));
        self.send(event).await
    }

    async fn list_begins(&mut self) -> Result<(), Failure> {
        self.log.list_begins();
        self.send(Change::ListBegin(self.kind)).await
    }

    async fn listed(&mut self, version: String) -> Result<(), Failure> {
        if version.is_empty() {
            return Err(Failure::Garbage(
                "a list without a resourceVersion".to_owned(),
            ));
        }
        self.log.listed();
        self.progress.listed(version);
        self.send(Change::ListEnd(self.kind)).await
    }

    async fn send(&self, event: Change) -> Result<(), Failure> {
        let sent = self.events.send(event).await;
        sent.map_err(|_| Failure::NoReceiver)
    }

    /// The next piece of a body.
    async fn next(&self, body: &mut Body) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::of(&error))?;
            if let Ok(piece) = frame.into_data() {
                self.log.metrics.heard();
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

/// A list that is being streamed.
struct Listing {
    begun: Instant,
    /// For how long no object came, while one was waited for.
    quiet: Duration,
}

impl Listing {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            quiet: Duration::ZERO,
        }
    }

    /// Waits for something, within the time that is left.
    async fn within<T>(
        &mut self,
        next: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let quiet = STREAM_SILENCE.saturating_sub(self.quiet);
        let all = STREAM_LIMIT.saturating_sub(self.begun.elapsed());
        let asked = Instant::now();
        let Ok(next) = tokio::time::timeout(quiet.min(all), next).await else {
            return Err(Failure::Incomplete(if quiet <= all {
                "brought no object for 30 s"
            } else {
                "was not complete after 5 minutes"
            }));
        };
        self.quiet += asked.elapsed();
        next
    }
}

/// As much of a refusal as anybody reads. That it breaks off is no news.
async fn beginning(mut body: Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        all.extend(frame.into_data().unwrap_or_default());
        if all.len() > MAX_REFUSAL {
            break;
        }
    }
    all
}
