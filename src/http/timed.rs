//! A stream that does not wait for its peer for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the connection's begin, or from a request's first byte, to the request's end.
    pub(super) request: Duration,
    /// From an answer to the next request's first byte.
    pub(super) idle: Duration,
    /// To take anything at all of an answer that waits.
    pub(super) write: Duration,
}

/// Tells the stream that a request is answered, so that from now on it may be idle.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// A request has been answered.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Ends with `TimedOut` when its peer takes longer than it may.
#[derive(Debug)]
pub(super) struct Timed<S> {
    stream: S,
    patience: Patience,
    answered: Answered,
    /// A request has begun.
    receiving: bool,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    /// Inside a runtime; time runs from here on.
    pub(super) fn new(stream: S, patience: Patience, answered: Answered) -> Self {
        Self {
            stream,
            patience,
            answered,
            receiving: true,
            reading: Box::pin(sleep(patience.request)),
            writing: None,
        }
    }

    fn reading_ends_in(&mut self, limit: Duration) {
        self.reading.as_mut().reset(Instant::now() + limit);
    }

    /// A write that could not go on at once waits only so long; any progress begins anew, as the
    /// whole connection's life is limited as well.
    fn limit_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        let limit = self.patience.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.answered.take() {
            this.receiving = false;
            this.reading_ends_in(this.patience.idle);
        }
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if result.is_ready() && !this.receiving {
            this.receiving = true;
            this.reading_ends_in(this.patience.request);
        }
        // Also of one who sends, but too little at a time.
        if this.reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.limit_write(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        this.limit_write(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.limit_write(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.limit_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience {
        request: Duration::from_secs(10),
        idle: Duration::from_secs(100),
        write: Duration::from_secs(5),
    };

    fn pair() -> (Timed<DuplexStream>, DuplexStream, Answered) {
        let (own, peer) = duplex(4);
        let answered = Answered::default();
        (Timed::new(own, PATIENCE, answered.clone()), peer, answered)
    }

    /// After how many seconds an attempt timed out.
    async fn waited<T>(attempt: impl Future<Output = io::Result<T>>) -> u64 {
        let start = Instant::now();
        let error = attempt.await.err().expect("a time-out");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        (start.elapsed() + SECOND / 2).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_cut() {
        let (mut own, _peer, _) = pair();
        assert_eq!(waited(own.read_u8()).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_byte_at_a_time_is_cut_as_well() {
        let (mut own, mut peer, _) = pair();
        let trickle = tokio::spawn(async move {
            while peer.write_u8(0).await.is_ok() {
                tokio::time::sleep(SECOND).await;
            }
        });
        let read = async {
            loop {
                own.read_u8().await?;
            }
        };
        assert_eq!(waited::<()>(read).await, 10);
        drop(own);
        trickle.await.expect("it noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_is_more_time_but_not_within_one() {
        let (mut own, mut peer, answered) = pair();
        peer.write_all(b"ab").await.expect("room");
        own.read_exact(&mut [0; 2]).await.expect("two bytes");
        tokio::time::sleep(9 * SECOND).await;
        answered.tell();
        assert!(
            tokio::time::timeout(50 * SECOND, own.read_u8())
                .await
                .is_err()
        );
        peer.write_u8(0).await.expect("room");
        own.read_u8().await.expect("the next request's first byte");
        assert_eq!(waited(own.read_u8()).await, 10);
        let (mut own, _peer, answered) = pair();
        answered.tell();
        assert_eq!(waited(own.read_u8()).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_unless_something_moves() {
        let (mut own, mut peer, _) = pair();
        own.write_all(b"abcd").await.expect("room");
        for _ in 0..3 {
            let later = async {
                tokio::time::sleep(4 * SECOND).await;
                peer.read_u8().await
            };
            let (written, read) = tokio::join!(own.write_u8(0), later);
            written.expect("in time");
            read.expect("a byte");
        }
        assert_eq!(waited(own.write_u8(0)).await, 5);
    }
}
