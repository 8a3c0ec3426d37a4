//! The API server's URL and the environment's variables about proxies, a line each: the URL,
//! `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.

use kube_proxy::fuzzing::proxy;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (server, variables) = (line(), [line(), line(), line()]);
    match proxy(server, variables) {
        Ok(Some(chosen)) => {
            assert!(!chosen.contains('@'), "a password is told: {chosen}");
            // Whatever else is excluded, the machine itself always is.
            assert!(!chosen.is_empty() && !is_loopback(server), "{chosen}");
            let [https, http, none] = variables;
            let all = format!("{none},*");
            assert_eq!(proxy(server, [https, http, &all]), Ok(None), "{all}");
        }
        Ok(None) => {}
        Err(error) => assert!(!error.is_empty()),
    }
}

fn is_loopback(server: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let rest = server.strip_prefix(scheme).unwrap_or_default();
        ["localhost", "127.0.0.1", "[::1]"].contains(&rest)
    })
}
