//! How long the API server may be silent: until an answer begins, and within
//! its body. TCP tells of a peer that is gone, not of one that takes requests
//! and does nothing; client-go has `ResponseHeaderTimeout` and HTTP/2 pings for
//! these.

use http::Response;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes};
use std::future::Future;
use std::time::Duration;
use thiserror::Error;
use tower::BoxError;
use tower_http::timeout::{TimeoutBody, TimeoutError};

/// For the headers of an answer, and between two pieces of its body. An API
/// server sends headers within its own 10 s of queueing, and a list in one go.
pub const SILENCE: Duration = Duration::from_secs(30);

/// Among a request's extensions: how long the body of its answer may be silent,
/// if not for [`SILENCE`]. A watch waits for things to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Duration);

/// Nothing was heard for too long.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Silent {
    /// The request was sent, or there was no connection to send it on.
    #[error("no answer for {} s", .0.as_secs())]
    Headers(Duration),
    /// The answer stopped before its end.
    #[error("nothing came for {} s", .0.as_secs())]
    Body(Duration),
}

/// An answer with both deadlines kept; `dead` is called once if one passes or the connection
/// breaks: what else waits in its pool may have gone the same way.
///
/// # Errors
/// The answer's own, or [`Silent`]; the body's errors likewise.
pub async fn keep<B, E>(
    answer: impl Future<Output = Result<Response<B>, E>>,
    headers: Duration,
    body: Duration,
    dead: impl Fn() + Send + 'static,
) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    let answer = match tokio::time::timeout(headers, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            dead();
            return Err(error.into());
        }
        Err(_) => {
            dead();
            return Err(Silent::Headers(headers).into());
        }
    };
    Ok(answer.map(|inner| {
        TimeoutBody::new(body, inner)
            .map_err(move |error| {
                dead();
                if error.is::<TimeoutError>() {
                    Silent::Body(body).into()
                } else {
                    error
                }
            })
            .boxed_unsync()
    }))
}

/// Whether silence is what an error comes down to.
pub fn silence(error: &(dyn std::error::Error + 'static)) -> Option<Silent> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(silent) = error.downcast_ref::<Silent>() {
            return Some(*silent);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, future, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::time::Instant;

    type Answer = UnsyncBoxBody<Bytes, Infallible>;

    /// Pieces, each after so many seconds, then silence.
    fn pieces(after: &'static [u64]) -> Answer {
        let pieces = stream::iter(after).then(|seconds| async move {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
            Ok(Frame::data(Bytes::from_static(b"half a")))
        });
        StreamBody::new(pieces.chain(stream::pending())).boxed_unsync()
    }

    fn counter() -> (Arc<AtomicU32>, impl Fn() + Send + 'static) {
        let count = Arc::new(AtomicU32::new(0));
        let own = count.clone();
        let silent = move || {
            own.fetch_add(1, Ordering::Relaxed);
        };
        (count, silent)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_taken_and_never_answered_is_given_up() {
        let (count, silent) = counter();
        let begun = Instant::now();
        let never = future::pending::<Result<Response<Answer>, BoxError>>();
        let error = keep(never, SILENCE, SILENCE, silent).await;
        let error = error.expect_err("silence");
        assert_eq!(error.to_string(), "no answer for 30 s");
        assert_eq!(silence(&*error), Some(Silent::Headers(SILENCE)));
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_a_body_begins_anew_with_each_piece() {
        let (count, silent) = counter();
        let begun = Instant::now();
        let answer = async { Ok::<_, BoxError>(Response::new(pieces(&[29, 29, 1]))) };
        let answer = keep(answer, SILENCE, SILENCE, silent).await;
        let error = answer.expect("headers").into_body().collect().await;
        let error = error.expect_err("silence");
        assert_eq!(error.to_string(), "nothing came for 30 s");
        assert_eq!(begun.elapsed().as_secs(), 29 + 29 + 1 + 30);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_slow_to_read_is_no_reason_to_give_up() {
        let (count, silent) = counter();
        let answer = async { Ok::<_, BoxError>(Response::new(pieces(&[1, 1]))) };
        let answer = keep(answer, SILENCE, SILENCE, silent).await;
        let mut body = answer.expect("headers").into_body();
        for _ in 0..2 {
            body.frame().await.expect("a piece").expect("no error");
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
