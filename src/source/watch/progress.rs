//! What to ask the API server next: a list, then a watch from where it ended,
//! for ever. Decisions only; they are client-go's reflector's where nothing
//! else is said.

use super::backoff::Backoff;
use super::failure::{Failure, Refusal};
use crate::source::client::deadline::Silent;
use std::time::Duration;

/// How long an idle watch may be silent. An API server sends a bookmark each
/// minute, once something has happened to the kind since the server's start.
const PATIENCE: Duration = Duration::from_secs(90);
/// And at most, where no bookmarks come: servers that have none, and kinds to
/// which nothing has happened. Their watches are healthy, so each one that is
/// given up in vain makes the next one's time twice as long. A new watch from
/// the last version costs a server next to nothing.
const MAX_PATIENCE: Duration = Duration::from_secs(240);
/// What has worked for so long does not go on with the pauses of before.
const SETTLED: Duration = Duration::from_secs(30);
/// A watch that ends sooner and without an event has not worked. With events it has, but such
/// watches come with pauses as well.
const VERY_SHORT: Duration = Duration::from_secs(1);
/// Within it come those again whose server said goodbye to all at once.
const SPREAD: Duration = Duration::from_secs(1);

/// A version that no one asks for: of any age, from the server's memory.
const ANY_VERSION: &str = "0";

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A list as a stream of events, which goes on as the watch
    /// (`sendInitialEvents`). It needs no memory to speak of, there or here.
    Stream {
        /// At least as new as this; the newest if empty.
        version: String,
    },
    /// A list, or a page of it.
    Page {
        /// At least as new as this; the newest, from etcd, if empty.
        version: String,
        /// Whether the rest may come in other pages. A server answers from its
        /// memory only without, unless any version will do.
        limited: bool,
        /// Where the page before ended.
        token: Option<String>,
    },
    /// What happens from a version on.
    Watch {
        /// The last one that is known.
        version: String,
    },
}

/// Where the list of one kind, or its watch, has got to.
#[derive(Debug)]
pub struct Progress {
    ask: Ask,
    /// The newest that was seen of the whole kind.
    version: Option<String>,
    /// The server cannot list from that version.
    lost: bool,
    /// The server said that it does not stream lists.
    pages_only: bool,
    backoff: Backoff,
    patience: Duration,
    /// A bookmark came in the watch that is under way.
    bookmarked: bool,
    /// Very short watches in a row.
    short: u32,
    /// The last failure was that a version had expired.
    expired: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            ask: Ask::Stream {
                version: ANY_VERSION.to_owned(),
            },
            version: None,
            lost: false,
            pages_only: false,
            backoff: Backoff::default(),
            patience: PATIENCE,
            bookmarked: false,
            short: 0,
            expired: false,
        }
    }
}

impl Progress {
    /// What to ask for now.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// How long the answer to a watch may be silent.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// A page came, and is not the last one.
    pub fn more(&mut self, token: String) {
        if let Ask::Page { token: own, .. } = &mut self.ask {
            *own = Some(token);
        }
    }

    /// A list is complete; the watch goes on from its version.
    pub fn listed(&mut self, version: String) {
        self.lost = false;
        self.heard(version);
    }

    /// An event has brought the watch to a version.
    pub fn heard(&mut self, version: String) {
        self.short = 0;
        self.ask = Ask::Watch {
            version: version.clone(),
        };
        self.version = Some(version);
    }

    /// A bookmark came, which was no list's end: more will come.
    pub fn bookmarked(&mut self) {
        self.bookmarked = true;
        self.patience = PATIENCE;
    }

    /// Whether a failure is part of the protocol, and no news: versions expire,
    /// some servers stream no lists, and an idle watch is silent where there are
    /// no bookmarks.
    pub fn expects(&self, failure: &Failure, lived: Duration) -> bool {
        let first = lived >= SETTLED || !self.expired;
        match (&self.ask, failure) {
            (Ask::Watch { .. }, Failure::Silent(Silent::Body(_))) => !self.bookmarked,
            (Ask::Stream { .. }, Failure::Refused(refusal)) if is_no_stream(refusal) => true,
            (_, Failure::Refused(refusal)) => refusal.is_expired() && first,
            _ => false,
        }
    }

    /// Whether a list that failed is asked for in another way.
    pub fn has_another_way(&self, failure: &Failure) -> bool {
        matches!(self.ask, Ask::Stream { .. }) && pages_may_do(failure)
    }

    /// The server ended a watch in an orderly way that lived for so long and
    /// brought so many lines. How long to wait now, or why it counts as failed.
    ///
    /// # Errors
    /// It was very short.
    pub fn ended(
        &mut self,
        lived: Duration,
        lines: u64,
        wanted: Duration,
        random: f64,
    ) -> Result<Duration, Failure> {
        self.bookmarked = false;
        if lived < VERY_SHORT && lines == 0 {
            self.short += 1;
            return Err(Failure::Short);
        }
        if lived < VERY_SHORT {
            return Ok(self.backoff.pause(random, None));
        }
        // Something in between may end them every few seconds; endpoints do not wait for that.
        if lived >= SETTLED {
            self.backoff.reset();
        }
        // At its time, which was drawn at random. Before it: the server is going down or sheds
        // load, and so do all its watches.
        let early = lived + Duration::from_secs(5) < wanted;
        Ok(if early {
            SPREAD.mul_f64(random)
        } else {
            Duration::ZERO
        })
    }

    /// A request failed, so long after its answer began. How long to wait now.
    pub fn failed(&mut self, failure: &Failure, lived: Duration, random: f64) -> Duration {
        if lived >= SETTLED {
            self.backoff.reset();
        }
        if let (Ask::Stream { .. }, Failure::Refused(refusal)) = (&self.ask, failure)
            && is_no_stream(refusal)
        {
            // Nothing is wrong with the server, and a start does not wait for it.
            self.pages_only = true;
            self.list();
            return Duration::ZERO;
        }
        match &self.ask {
            Ask::Stream { .. } => self.stream_failed(failure),
            Ask::Page { .. } => self.page_failed(failure),
            Ask::Watch { .. } => self.watch_failed(failure),
        }
        self.bookmarked = false;
        self.expired = matches!(failure, Failure::Refused(refusal) if refusal.is_expired());
        self.backoff.pause(random, failure.retry_after())
    }

    fn stream_failed(&mut self, failure: &Failure) {
        match failure {
            Failure::Refused(refusal) if refusal.is_expired() || refusal.is_too_large() => {
                self.lost = true;
                self.list();
            }
            failure if pages_may_do(failure) => self.pages(),
            _ => {}
        }
    }

    fn page_failed(&mut self, failure: &Failure) {
        let Ask::Page { token, limited, .. } = &mut self.ask else {
            return;
        };
        match failure {
            Failure::Refused(refusal) if refusal.is_expired() && token.is_some() => {
                // What the pages were of is gone before the last one came: all in one.
                *token = None;
                *limited = false;
            }
            Failure::Refused(refusal) if refusal.is_expired() || refusal.is_too_large() => {
                self.lost = true;
                self.pages();
            }
            // The same page again: what it names is still there.
            Failure::Broken(_) | Failure::Silent(_) => self.pages_only = false,
            Failure::Refused(refusal) if matches!(refusal.code(), 429 | 500..) => {}
            _ => self.list(),
        }
    }

    fn watch_failed(&mut self, failure: &Failure) {
        match failure {
            Failure::Broken(_) => self.pages_only = false,
            Failure::Silent(_) => {
                self.pages_only = false;
                self.patience = if self.bookmarked {
                    PATIENCE
                } else {
                    MAX_PATIENCE.min(2 * self.patience)
                };
            }
            Failure::Refused(refusal) if refusal.is_too_large() => {
                self.lost = true;
                self.list();
            }
            Failure::Refused(refusal)
                if refusal.code() == 429
                    || !refusal.in_stream && matches!(refusal.code(), 401 | 403 | 500..) => {}
            // Something in between may be at fault that lists come through.
            Failure::Short if self.short < 2 => {}
            _ => self.list(),
        }
    }

    /// Begins a list. One that is at least as new as what is known comes from
    /// the server's memory, and never goes back in time.
    fn list(&mut self) {
        if self.pages_only {
            return self.pages();
        }
        self.ask = Ask::Stream {
            version: self.list_version(),
        };
    }

    fn pages(&mut self) {
        let version = self.list_version();
        self.ask = Ask::Page {
            limited: version.is_empty() || version == ANY_VERSION,
            version,
            token: None,
        };
    }

    fn list_version(&self) -> String {
        match &self.version {
            _ if self.lost => String::new(),
            Some(version) => version.clone(),
            None => ANY_VERSION.to_owned(),
        }
    }
}

/// Whether what a streamed list failed of may be no obstacle to one by pages: such as a store that
/// tells no progress.
fn pages_may_do(failure: &Failure) -> bool {
    match failure {
        // Whoever answers next may be another server, or a newer one.
        Failure::Broken(_) | Failure::NoReceiver => false,
        Failure::Refused(refusal) => !matches!(refusal.code(), 401 | 403 | 429 | 503),
        _ => true,
    }
}

/// What API servers say that know of streamed lists and are not to send any.
fn is_no_stream(refusal: &Refusal) -> bool {
    !refusal.in_stream && matches!(refusal.code(), 400 | 422)
}

#[cfg(test)]
mod tests;
