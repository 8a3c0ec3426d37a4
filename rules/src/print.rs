//! The ruleset as text that `nft -f` loads.
