//! An HTTP proxy that knows CONNECT (RFC 9110, section 9.3.6), and can keep silent or vanish.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Lost, Namespace, Worker, black_hole};

/// Connects every client to the same server; stopped with the value.
pub(crate) struct ForwardProxy {
    shared: Arc<Shared>,
    namespace: String,
    _worker: Worker,
}

#[derive(Default)]
struct Shared {
    mute: AtomicBool,
    /// Both ends of all connections.
    streams: Mutex<Vec<TcpStream>>,
    clients: Mutex<Vec<u16>>,
}

impl ForwardProxy {
    pub(crate) const PORT: u16 = 3128;

    /// Listens at `address`; connections go to `target`.
    ///
    /// # Errors
    /// If the port is taken.
    pub(crate) fn start(
        namespace: &Namespace,
        address: IpAddr,
        target: SocketAddr,
    ) -> Result<Self> {
        let listener = namespace.run(|| TcpListener::bind((address, Self::PORT)))?;
        let listener = listener.context("listen as a forward proxy")?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let work = move |stop: &AtomicBool| serve(&listener, target, &served, stop);
        Ok(Self {
            shared,
            namespace: namespace.name().to_owned(),
            _worker: namespace.start_worker("proxy", work)?,
        })
    }

    /// Whether connections that come from now on get no answer.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.shared.mute.store(mute, Ordering::Relaxed);
    }

    /// The ports of the clients that came.
    pub(crate) fn clients(&self) -> Vec<u16> {
        let clients = self.shared.clients.lock();
        clients.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is gone for all connections that there are, without a word; not for new ones.
    ///
    /// # Errors
    /// If the packet filter refuses.
    pub(crate) fn vanish(&self) -> Result<()> {
        black_hole(&self.namespace, Self::PORT, &self.clients(), Lost::All)?;
        self.shared.end_all();
        Ok(())
    }
}

impl Shared {
    fn keep(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.push(stream.try_clone()?);
        Ok(())
    }

    fn end_all(&self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn serve(
    listener: &TcpListener,
    target: SocketAddr,
    shared: &Arc<Shared>,
    stop: &AtomicBool,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let Ok((client, address)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        client.set_nonblocking(false)?;
        shared.keep(&client)?;
        let mut clients = shared
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        clients.push(address.port());
        drop(clients);
        if !shared.mute.load(Ordering::Relaxed) {
            let shared = Arc::clone(shared);
            // It stays in this thread's namespace.
            std::thread::spawn(move || tunnel(client, target, &shared));
        }
    }
    shared.end_all();
    Ok(())
}

fn tunnel(mut client: TcpStream, target: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut server = TcpStream::connect(target)?;
    shared.keep(&server)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Both).ok();
    });
    std::io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Both)
}
