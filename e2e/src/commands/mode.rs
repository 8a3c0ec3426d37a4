//! The proxy mode that two programs are compared in.

use std::fmt;

/// A mode of kube-proxy's, as `--proxy-mode` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    #[default]
    Nftables,
    Iptables,
}

impl Mode {
    /// What kube-proxy is told.
    pub(crate) fn flags(self) -> [&'static str; 2] {
        ["--proxy-mode", self.name()]
    }

    /// As kube-proxy names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }

    /// Where a command leaves what is for a reader, below `target`.
    pub(crate) fn directory(self, command: &str) -> String {
        match self {
            Self::Nftables => command.to_owned(),
            Self::Iptables => format!("{command}-iptables"),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
