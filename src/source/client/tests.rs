//! Credentials from files that change, against a server that tells what it saw.

use super::*;
use crate::metrics::Metrics;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpListener;

type Seen = Arc<Mutex<Vec<String>>>;

/// A directory that goes with the value.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kube-proxy-client-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Answers everything with an empty object; notes the Authorization headers.
async fn server() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Seen::default();
    let noting = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = noting.clone();
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let header = request.headers().get("authorization");
                let header = header.map_or("none", |own| own.to_str().unwrap_or("odd"));
                seen.lock().expect("no panic").push(header.to_owned());
                async { Ok::<_, Infallible>(http::Response::new("{}".to_owned())) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (address, seen)
}

fn kubeconfig(dir: &Dir, server: &str, user: &str) -> Option<PathBuf> {
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"Config","current-context":"c",
        "clusters":[{{"name":"c","cluster":{{{server}}}}}],
        "users":[{{"name":"u","user":{{{user}}}}}],
        "contexts":[{{"name":"c","context":{{"cluster":"c","user":"u"}}}}]}}"#
    );
    Some(dir.write("kubeconfig", &text).into())
}

async fn ask(client: &Client) {
    let request = http::Request::get("/version").body(Vec::new());
    let request = request.expect("a request");
    client.request_text(request).await.expect("an answer");
}

#[tokio::test]
async fn a_replaced_token_is_in_the_next_request() {
    let (address, seen) = server().await;
    let dir = Dir::new();
    let token = dir.write("token", "first\n");
    let url = format!("\"server\":\"http://{address}\"");
    let file = kubeconfig(&dir, &url, &format!("\"tokenFile\":\"{token}\""));
    let metrics = Metrics::new().expect("metrics");
    let options = ClientOptions::new(file, None);
    let client = client(&options, metrics.rest()).await.expect("a client");
    ask(&client).await;
    dir.write("token", "second");
    ask(&client).await;
    std::fs::remove_file(token).expect("the file");
    ask(&client).await;
    let expected = ["Bearer first", "Bearer second", "Bearer second"];
    assert_eq!(*seen.lock().expect("no panic"), expected);
    let text = metrics.text();
    for line in [
        format!("rest_client_requests_total{{code=\"200\",host=\"{address}\",method=\"GET\"}} 3"),
        format!("rest_client_response_size_bytes_sum{{host=\"{address}\",verb=\"GET\"}} 6"),
        format!("rest_client_request_duration_seconds_count{{host=\"{address}\",verb=\"GET\"}} 3"),
    ] {
        assert!(text.lines().any(|own| own == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn master_overrides_and_completes_the_kubeconfig() {
    let (address, seen) = server().await;
    let dir = Dir::new();
    for server in ["\"server\":\"https://192.0.2.1:6443\"", ""] {
        let file = kubeconfig(&dir, server, "\"token\":\"fixed\"");
        let master = Some(format!("http://{address}"));
        let metrics = Metrics::new().expect("metrics");
        let options = ClientOptions::new(file, master);
        let client = client(&options, metrics.rest()).await;
        ask(&client.expect("a client")).await;
    }
    let expected = ["Bearer fixed", "Bearer fixed"];
    assert_eq!(*seen.lock().expect("no panic"), expected);
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let dir = Dir::new();
    let server = "\"server\":\"http://192.0.2.1\"";
    let missing = dir.0.join("missing");
    let metrics = Metrics::new().expect("metrics");
    for (file, master, says) in [
        (Some(missing.clone()), None, "--kubeconfig "),
        (
            None,
            Some("ftp://host"),
            "--master \"ftp://host\": its scheme is",
        ),
        (None, None, "neither --kubeconfig nor --master"),
        (
            kubeconfig(
                &dir,
                server,
                &format!("\"tokenFile\":\"{}\"", missing.display()),
            ),
            None,
            "token file ",
        ),
    ] {
        let options = ClientOptions::new(file, master.map(str::to_owned));
        let error = client(&options, metrics.rest()).await;
        let error = format!("{:#}", error.err().expect(says));
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_counts_as_an_error() {
    let metrics = Metrics::new().expect("metrics");
    // Nothing listens on the port that was just free.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let options = ClientOptions::new(None, Some(format!("http://{address}")));
    let client = client(&options, metrics.rest()).await.expect("a client");
    let request = http::Request::get("/").body(Vec::new()).expect("a request");
    assert!(client.request_text(request).await.is_err());
    let line = format!(
        "rest_client_requests_total{{code=\"<error>\",host=\"{address}\",method=\"GET\"}} 1"
    );
    assert!(
        metrics.text().lines().any(|own| own == line),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn the_pages_of_a_list_are_one_request_to_the_limiter() {
    let (address, _) = server().await;
    let metrics = Metrics::new().expect("metrics");
    let mut options = ClientOptions::new(None, Some(format!("http://{address}")));
    // The second token comes after minutes.
    (options.qps, options.burst) = (0.001, 1);
    let client = client(&options, metrics.rest()).await.expect("a client");
    for path in [
        "?limit=500",
        "?limit=500&continue=a",
        "?continue=b&limit=500",
    ] {
        let request = http::Request::get(format!("/api/v1/services{path}"));
        let request = request.body(Vec::new()).expect("a request");
        client.request_text(request).await.expect("an answer");
    }
    let text = metrics.text();
    let sum = "rest_client_rate_limiter_duration_seconds_sum";
    let line = format!("{sum}{{host=\"{address}\",verb=\"GET\"}} 0");
    assert!(text.lines().any(|own| own == line), "{line} in {text}");
}

/// Whoever takes requests and does nothing, over connections that were pooled
/// while all was well.
#[tokio::test]
async fn silence_ends_all_pooled_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let accepted = Arc::new(AtomicU32::new(0));
    // Connections up to this one get no answers.
    let silent_to = Arc::new(AtomicU32::new(0));
    let (counted, silent) = (accepted.clone(), silent_to.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let own = counted.fetch_add(1, Ordering::Relaxed) + 1;
            let silent = silent.clone();
            let service = service_fn(move |_| {
                let silent = silent.clone();
                async move {
                    // Long enough for requests at once to need connections of their own.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if own <= silent.load(Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(http::Response::new("{}".to_owned()))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    let metrics = Metrics::new().expect("metrics");
    let mut options = ClientOptions::new(None, Some(format!("http://{address}")));
    options.silence = Duration::from_secs(1);
    let client = client(&options, metrics.rest()).await.expect("a client");
    tokio::join!(ask(&client), ask(&client), ask(&client));
    let pooled = accepted.load(Ordering::Relaxed);
    assert!(pooled > 1, "{pooled}");
    silent_to.store(pooled, Ordering::Relaxed);
    let request = http::Request::get("/version").body(Vec::new());
    let error = client.request_text(request.expect("a request")).await;
    let error = error.expect_err("silence");
    let silent = deadline::silence(&error);
    assert_eq!(silent, Some(deadline::Silent::Headers(options.silence)));
    // The retry is answered, so it has not taken another one that was pooled.
    ask(&client).await;
    assert_eq!(accepted.load(Ordering::Relaxed), pooled + 1);
}
