//! The fields of a kubeconfig that a client without a person before it has use for
//! (client-go's clientcmd/api/v1). What is not known is left alone; `null` is as good as nothing.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use std::collections::BTreeMap;

/// The file.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct File {
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(rename = "apiVersion", deserialize_with = "or_default")]
    pub(super) api_version: String,
    #[serde(rename = "current-context", deserialize_with = "or_default")]
    pub(super) current_context: String,
    #[serde(deserialize_with = "or_default")]
    clusters: Vec<Named>,
    #[serde(deserialize_with = "or_default")]
    contexts: Vec<Named>,
    #[serde(deserialize_with = "or_default")]
    users: Vec<Named>,
}

/// An entry of any of the lists.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    cluster: Cluster,
    #[serde(deserialize_with = "or_default")]
    context: Context,
    #[serde(deserialize_with = "or_default")]
    user: User,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    #[serde(deserialize_with = "or_default")]
    pub(super) server: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) tls_server_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) insecure_skip_tls_verify: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) certificate_authority: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) certificate_authority_data: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) proxy_url: String,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "or_default")]
    pub(super) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) user: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: String,
}

/// Has secrets, so no `Debug` that shows them.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    #[serde(deserialize_with = "or_default")]
    pub(super) client_certificate: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) client_certificate_data: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) client_key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) client_key_data: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) token: String,
    #[serde(rename = "tokenFile", deserialize_with = "or_default")]
    pub(super) token_file: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) username: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) password: String,
    #[serde(rename = "as", deserialize_with = "or_default")]
    pub(super) impersonate: String,
    #[serde(rename = "as-uid", deserialize_with = "or_default")]
    pub(super) impersonate_uid: String,
    #[serde(rename = "as-groups", deserialize_with = "or_default")]
    pub(super) impersonate_groups: Vec<String>,
    #[serde(rename = "as-user-extra", deserialize_with = "or_default")]
    pub(super) impersonate_extra: BTreeMap<String, Vec<String>>,
    pub(super) exec: Option<Exec>,
    pub(super) auth_provider: Option<AuthProvider>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

/// A program that would print credentials.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Exec {
    #[serde(deserialize_with = "or_default")]
    pub(super) command: String,
}

/// What came before such programs.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct AuthProvider {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
}

impl File {
    /// YAML or JSON.
    ///
    /// # Errors
    /// Where it is not what it has to be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let parsed = serde_saphyr::from_str_with_options::<Option<Self>>(text, options);
        parsed
            .map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    }

    pub(super) fn context(&self, name: &str) -> Option<Context> {
        Some(find(&self.contexts, name)?.context.clone())
    }

    pub(super) fn cluster(&self, name: &str) -> Option<Cluster> {
        Some(find(&self.clusters, name)?.cluster.clone())
    }

    pub(super) fn user(&self, name: &str) -> Option<User> {
        Some(find(&self.users, name)?.user.clone())
    }
}

fn find<'a>(all: &'a [Named], name: &str) -> Option<&'a Named> {
    all.iter().find(|own| own.name == name)
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
