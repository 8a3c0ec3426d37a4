//! What is wrong, or worth knowing, in words that stay: codes that scripts and pages refer to
//! (`docs/findings.md` has a section for each).

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It costs something, or will.
    Warning,
    /// Traffic is lost, or the rules are not what they should be.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// `codes!` declares [`Code`] and its list.
macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal;)+) => {
        /// What a finding is about. A code never changes its meaning, and none is used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// `KP101` and the like.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// A few words: the heading in `docs/findings.md`.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    // 1xx: traffic of a Service is lost, or goes where it should not.
    NoReadyEndpoint = "KP101", "No ready endpoint";
    NoneOnThisNode = "KP102", "No endpoint on this node under policy Local";
    OnlyTerminating = "KP103", "Only terminating endpoints serve";
    HealthPortDisagrees = "KP104", "Health check port disagrees with the endpoints";
    KernelDiffers = "KP105", "The kernel's rules differ from what the objects ask for";
    SelectorMatchesNoPod = "KP106", "The selector matches no pod";
    PortNotInSlices = "KP107", "EndpointSlices lack a port of the Service";
    PortNamesDiffer = "KP108", "Ports are named differently in Service and EndpointSlices";
    CallsFail = "KP109", "Calls of a probe fail";
    // 2xx: it works, and not as one might think.
    UnequalShare = "KP201", "An endpoint gets more than twice its fair share";
    ClientAddressLost = "KP202", "The client's address is replaced";
    SourceRangeAdmitsNobody = "KP203", "Source ranges let nobody in";
    FrontendContested = "KP204", "Another Service has the same address and port";
    NodePortOnNoAddress = "KP205", "The node port is on no address of this node";
    HintsIgnored = "KP206", "Topology hints are ignored";
    ExternalIpInServiceCidr = "KP207", "An external IP is inside a ServiceCIDR";
    // 3xx: the node.
    ForeignDrop = "KP301", "Rules of somebody else may drop this traffic";
    OtherProxy = "KP302", "Rules of another proxy are on the node";
    KernelFeatureMissing = "KP303", "The kernel lacks a feature";
    NeighbourNeedsAttention = "KP304", "A network plugin or DNS cache depends on the proxy's mode";
    LocalhostNodePortInUse = "KP305", "Somebody uses node ports on localhost";
    ConntrackRoom = "KP306", "Connection tracking has little room, or none";
    SysctlDiffers = "KP307", "A kernel setting is not what a proxy needs";
    FirewallManager = "KP308", "A firewall manager runs on the node";
    ModeSwitch = "KP309", "A switch of mode changes this";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|code| code.id() == id);
        known
            .copied()
            .ok_or_else(|| D::Error::custom(format!("unknown code {id:?}")))
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let ids: Vec<&str> = Self::ALL.iter().map(|code| code.id()).collect();
        let mut schema = schemars::json_schema!({"type": "string"});
        schema.insert("enum".to_owned(), ids.into());
        schema
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What it is about.
    pub code: Code,
    /// How bad it is, here.
    pub severity: Severity,
    /// The object, as `Service shop/web`; `null` if it is the node's.
    pub object: Option<String>,
    /// The node on which it holds; `null` if on all.
    pub node: Option<String>,
    /// One sentence with what was seen.
    pub message: String,
    /// What to do, ready to be done.
    pub remedy: String,
    /// What it is concluded from, one fact each.
    pub evidence: Vec<String>,
}

impl Finding {
    /// A finding without object, node or evidence.
    pub fn new(
        code: Code,
        severity: Severity,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            object: None,
            node: None,
            message: message.into(),
            remedy: remedy.into(),
            evidence: Vec::new(),
        }
    }

    /// About an object.
    #[must_use]
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// On a node.
    #[must_use]
    pub fn on(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// With a fact that it is concluded from.
    #[must_use]
    pub fn because(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }
}
