//! All targets in one program, as each would have to be linked with the whole product; the
//! variable FUZZ_TARGET chooses, and without it the program lists them. `make fuzz` runs it.
#![no_main]

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let Ok(name) = std::env::var("FUZZ_TARGET") else {
            for target in TARGETS {
                println!("{} {}", target.name, target.max_len);
            }
            std::process::exit(0);
        };
        let target = fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET: {name:?} is none"));
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
