//! `--version`.

use crate::kubernetes::PLATFORM;
use crate::kubernetes::{GIT_VERSION, major_minor};
use crate::pflag::{FlagValue, parse_bool, quote};

/// What `--version` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Nothing.
    #[default]
    Unset,
    /// One line.
    Line,
    /// All there is to say.
    Raw,
    /// To call itself something that begins like its own version.
    Reported(String),
}

impl FlagValue for Version {
    const TYPE: &'static str = "version";
    const BARE: Option<&'static str> = Some("true");

    fn parse(text: &str) -> Result<Self, String> {
        if text == "raw" {
            return Ok(Self::Raw);
        }
        if let Some(number) = text.strip_prefix('v') {
            if !number.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(format!("could not parse {} as version", quote(text)));
            }
            if number.split('.').count() < 3 {
                return Err(format!("illegal version string {}", quote(text)));
            }
            let rest = text.strip_prefix(GIT_VERSION);
            return match rest {
                Some(rest) if rest.is_empty() || rest.starts_with(['-', '+']) => {
                    Ok(Self::Reported(text.to_owned()))
                }
                _ => Err(format!(
                    "version {} must match major/minor/patch of default version \
                     {GIT_VERSION:?}",
                    quote(text)
                )),
            };
        }
        Ok(if parse_bool(text)? {
            Self::Line
        } else {
            Self::Unset
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Unset => "false".to_owned(),
            Self::Line => "true".to_owned(),
            Self::Raw => "raw".to_owned(),
            Self::Reported(version) => version.clone(),
        }
    }
}

impl Version {
    /// What to print instead of doing anything else.
    pub fn text(&self) -> Option<String> {
        let ours = env!("CARGO_PKG_VERSION");
        match self {
            Self::Unset | Self::Reported(_) => None,
            // Scripts take the second word.
            Self::Line => Some(format!("Kubernetes {GIT_VERSION} (kube-proxy-rs {ours})")),
            Self::Raw => {
                let (major, minor) = major_minor();
                Some(format!(
                    "version.Info{{Major:\"{major}\", Minor:\"{minor}\", \
                     GitVersion:\"{GIT_VERSION}\", Implementation:\"kube-proxy-rs {ours}\", \
                     Platform:\"{PLATFORM}\"}}"
                ))
            }
        }
    }
}
