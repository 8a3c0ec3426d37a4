//! From the fields to YAML and JSON, as upstream writes them.

use super::{API_VERSION, KIND, KubeProxyConfiguration};
use crate::yaml;
use serde::Serialize;

/// The fields as an object of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    kind: &'static str,
    api_version: &'static str,
    #[serde(flatten)]
    config: &'a KubeProxyConfiguration,
}

impl KubeProxyConfiguration {
    fn object(&self) -> Object<'_> {
        Object {
            kind: KIND,
            api_version: API_VERSION,
            config: self,
        }
    }

    /// What `--write-config-to` writes: keys in alphabetical order.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.object())
    }

    /// What `/configz` holds: keys in upstream's order.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(&self.object());
        // Go writes these so that JSON is safe within HTML; they are in strings only.
        json.unwrap_or_else(|error| error.to_string())
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    }
}
