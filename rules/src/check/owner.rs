//! Whose tables and chains are, by their names. Each name is from the source of who makes it.

use super::hook::ChainFamily;
use schemars::JsonSchema;
use serde::Serialize;

/// Somebody whose chains are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub enum Owner {
    /// kube-proxy in mode iptables or ipvs.
    #[serde(rename = "kube-proxy")]
    KubeProxy,
    /// kube-router's proxy and its policies.
    #[serde(rename = "kube-router")]
    KubeRouter,
    /// The kubelet.
    #[serde(rename = "kubelet")]
    Kubelet,
    /// Calico.
    #[serde(rename = "Calico")]
    Calico,
    /// Cilium.
    #[serde(rename = "Cilium")]
    Cilium,
    /// The AWS VPC CNI.
    #[serde(rename = "AWS VPC CNI")]
    AwsVpcCni,
    /// Antrea.
    #[serde(rename = "Antrea")]
    Antrea,
    /// Flannel.
    #[serde(rename = "Flannel")]
    Flannel,
    /// Weave Net.
    #[serde(rename = "Weave Net")]
    Weave,
    /// kindnet.
    #[serde(rename = "kindnet")]
    Kindnet,
    /// kube-network-policies.
    #[serde(rename = "kube-network-policies")]
    KubeNetworkPolicies,
    /// The CNI plugins `portmap`, `bridge` and `firewall`.
    #[serde(rename = "CNI plugins")]
    CniPlugins,
    /// ip-masq-agent.
    #[serde(rename = "ip-masq-agent")]
    IpMasqAgent,
    /// Istio.
    #[serde(rename = "Istio")]
    Istio,
    /// firewalld.
    #[serde(rename = "firewalld")]
    Firewalld,
    /// ufw.
    #[serde(rename = "ufw")]
    Ufw,
    /// Talos' ingress firewall.
    #[serde(rename = "Talos")]
    Talos,
    /// Docker.
    #[serde(rename = "Docker")]
    Docker,
    /// libvirt.
    #[serde(rename = "libvirt")]
    Libvirt,
    /// fail2ban.
    #[serde(rename = "fail2ban")]
    Fail2ban,
}

/// How many chains somebody has in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OwnerCensus {
    /// Whose they are.
    pub owner: Owner,
    /// The table's family.
    pub family: ChainFamily,
    /// The table.
    pub table: String,
    /// How many.
    pub chains: usize,
    /// The name of one of them.
    pub example: String,
}

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It serves Services, as we do.
    Proxy,
    /// The node's own agent.
    Kubelet,
    /// It connects pods, and drops what policies forbid.
    Network,
    /// It manages the node's firewall.
    Firewall,
    /// Anything else.
    Other,
}

impl Owner {
    /// Whose a table or chain is.
    pub fn of(family: ChainFamily, table: &str, chain: &str) -> Option<Self> {
        Self::of_table(family, table).or_else(|| Self::of_chain(chain))
    }

    /// Whose a table is, with all that is in it.
    pub fn of_table(_family: ChainFamily, table: &str) -> Option<Self> {
        Some(match table {
            "firewalld" | "firewalld_policy_drop" => Self::Firewalld,
            "talos" => Self::Talos,
            "calico" => Self::Calico,
            "aws-cni" => Self::AwsVpcCni,
            "kindnet" | "kindnetd" | "kindnet-ipmasq" | "kindnet-network-policies" => Self::Kindnet,
            "kube-network-policies" => Self::KubeNetworkPolicies,
            "flannel-ipv4" | "flannel-ipv6" => Self::Flannel,
            "cni_plugins_masquerade" | "cni_hostport" => Self::CniPlugins,
            "docker-bridges" => Self::Docker,
            "libvirt_network" => Self::Libvirt,
            "f2b-table" => Self::Fail2ban,
            table if table.starts_with("istio-") => Self::Istio,
            _ => return None,
        })
    }

    /// Whose a chain is in a table that many share, as those of iptables.
    pub fn of_chain(chain: &str) -> Option<Self> {
        /// What names begin with.
        const PREFIXES: [(&str, Owner); 30] = [
            ("KUBE-ROUTER-", Owner::KubeRouter),
            ("KUBE-POD-FW-", Owner::KubeRouter),
            ("KUBE-NWPLCY-", Owner::KubeRouter),
            ("cali-", Owner::Calico),
            ("CILIUM_", Owner::Cilium),
            ("OLD_CILIUM_", Owner::Cilium),
            ("AWS-SNAT-CHAIN-", Owner::AwsVpcCni),
            ("AWS-CONNMARK-CHAIN-", Owner::AwsVpcCni),
            ("ANTREA-", Owner::Antrea),
            ("FLANNEL-", Owner::Flannel),
            ("WEAVE", Owner::Weave),
            ("KIND-MASQ-AGENT", Owner::Kindnet),
            ("CNI-HOSTPORT-", Owner::CniPlugins),
            ("CNI-DN-", Owner::CniPlugins),
            ("CNI-SN-", Owner::CniPlugins),
            ("CNI-FORWARD", Owner::CniPlugins),
            ("CNI-ADMIN", Owner::CniPlugins),
            ("IP-MASQ", Owner::IpMasqAgent),
            ("ISTIO_", Owner::Istio),
            ("ufw-", Owner::Ufw),
            ("ufw6-", Owner::Ufw),
            // firewalld's backend iptables.
            ("INPUT_ZONES", Owner::Firewalld),
            ("INPUT_POLICIES", Owner::Firewalld),
            ("INPUT_direct", Owner::Firewalld),
            ("FORWARD_ZONES", Owner::Firewalld),
            ("FORWARD_POLICIES", Owner::Firewalld),
            ("FORWARD_direct", Owner::Firewalld),
            ("DOCKER", Owner::Docker),
            ("LIBVIRT_", Owner::Libvirt),
            ("f2b-", Owner::Fail2ban),
        ];
        if is_proxy_chain(chain) {
            return Some(Self::KubeProxy);
        }
        if KUBELET.contains(&chain) {
            return Some(Self::Kubelet);
        }
        let mut prefixes = PREFIXES.iter();
        let found = prefixes.find(|(prefix, _)| chain.starts_with(prefix));
        found.map(|(_, owner)| *owner)
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::KubeProxy | Self::KubeRouter => Kind::Proxy,
            Self::Kubelet => Kind::Kubelet,
            Self::Calico
            | Self::Cilium
            | Self::AwsVpcCni
            | Self::Antrea
            | Self::Flannel
            | Self::Weave
            | Self::Kindnet
            | Self::KubeNetworkPolicies
            | Self::CniPlugins => Kind::Network,
            Self::Firewalld | Self::Ufw | Self::Talos => Kind::Firewall,
            Self::IpMasqAgent | Self::Istio | Self::Docker | Self::Libvirt | Self::Fail2ban => {
                Kind::Other
            }
        }
    }

    /// As it calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeProxy => "kube-proxy",
            Self::KubeRouter => "kube-router",
            Self::Kubelet => "the kubelet",
            Self::Calico => "Calico",
            Self::Cilium => "Cilium",
            Self::AwsVpcCni => "the AWS VPC CNI",
            Self::Antrea => "Antrea",
            Self::Flannel => "Flannel",
            Self::Weave => "Weave Net",
            Self::Kindnet => "kindnet",
            Self::KubeNetworkPolicies => "kube-network-policies",
            Self::CniPlugins => "the CNI plugins",
            Self::IpMasqAgent => "ip-masq-agent",
            Self::Istio => "Istio",
            Self::Firewalld => "firewalld",
            Self::Ufw => "ufw",
            Self::Talos => "Talos",
            Self::Docker => "Docker",
            Self::Libvirt => "libvirt",
            Self::Fail2ban => "fail2ban",
        }
    }
}

/// The kubelet's chains in tables of iptables; KUBE-FIREWALL is kube-proxy's as well.
const KUBELET: [&str; 4] = [
    "KUBE-FIREWALL",
    "KUBE-KUBELET-CANARY",
    "KUBE-IPTABLES-HINT",
    "KUBE-MARK-DROP",
];

/// kube-proxy's chains that the kernel's own lead to.
const PROXY_ENTRIES: [&str; 9] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-FORWARD",
    "KUBE-PROXY-FIREWALL",
    "KUBE-POSTROUTING",
    // Of mode ipvs.
    "KUBE-NODE-PORT",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
];

/// Chains that those lead to, and the one that shows whether someone flushed the table.
const PROXY_OTHERS: [&str; 4] = [
    "KUBE-MARK-MASQ",
    "KUBE-PROXY-CANARY",
    // Of mode ipvs.
    "KUBE-LOAD-BALANCER",
    "KUBE-SOURCE-RANGES-FIREWALL",
];

/// What kube-proxy's chains of Services and endpoints begin with.
const PROXY_PREFIXES: [&str; 5] = [
    "KUBE-SVC-",
    "KUBE-SVL-",
    "KUBE-SEP-",
    "KUBE-FW-",
    "KUBE-EXT-",
];

/// Whether a chain of iptables is kube-proxy's own. Others with such names are the kubelet's.
pub fn is_proxy_chain(chain: &str) -> bool {
    is_proxy_entry(chain) || PROXY_OTHERS.contains(&chain) || is_of_a_service(chain)
}

/// Whether it is one of those of kube-proxy's that the kernel's own chains lead to.
pub fn is_proxy_entry(chain: &str) -> bool {
    PROXY_ENTRIES.contains(&chain)
}

/// Whether it is one of those of kube-proxy's that drop nothing but what a Service asks for, and let
/// nothing through: of those there may be thousands of rules.
pub fn is_of_services(chain: &str) -> bool {
    /// What accepts, or drops whatever Services there are.
    const OF_ALL: [&str; 2] = ["KUBE-FORWARD", "KUBE-NODEPORTS"];
    is_proxy_chain(chain) && !OF_ALL.contains(&chain)
}

/// Whether it is one of those that kube-proxy has for each Service and endpoint, of which there
/// may be tens of thousands.
pub fn is_of_a_service(chain: &str) -> bool {
    PROXY_PREFIXES
        .iter()
        .any(|prefix| chain.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_a_chain_is() {
        let inet = ChainFamily::Inet;
        for (table, chain, owner) in [
            ("nat", "KUBE-SERVICES", Some(Owner::KubeProxy)),
            ("nat", "KUBE-SEP-ABC", Some(Owner::KubeProxy)),
            ("filter", "KUBE-FIREWALL", Some(Owner::Kubelet)),
            ("mangle", "KUBE-KUBELET-CANARY", Some(Owner::Kubelet)),
            ("filter", "KUBE-ROUTER-INPUT", Some(Owner::KubeRouter)),
            ("filter", "cali-FORWARD", Some(Owner::Calico)),
            ("firewalld", "filter_INPUT", Some(Owner::Firewalld)),
            ("filter", "FORWARD_direct", Some(Owner::Firewalld)),
            ("filter", "ufw-before-input", Some(Owner::Ufw)),
            ("talos", "ingress", Some(Owner::Talos)),
            ("filter", "DOCKER-USER", Some(Owner::Docker)),
            ("nat", "AWS-SNAT-CHAIN-0", Some(Owner::AwsVpcCni)),
            ("filter", "FORWARD", None),
            ("mine", "KUBE", None),
        ] {
            assert_eq!(Owner::of(inet, table, chain), owner, "{table} {chain}");
        }
    }
}
