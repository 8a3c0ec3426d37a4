//! Changes without an end; then the kernel has what a fresh plan has.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Course, Fault, Scale};
use crate::faults::objects::idle;
use crate::faults::site::Site;

/// Services that come and go.
const SERVICES: u16 = 60;

pub(super) fn faults() -> Vec<Fault> {
    vec![Fault::new("churn", Duration::from_secs(10), churn)]
}

/// Random numbers that are the same each time: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u16) -> u16 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u16::try_from(self.0 % u64::from(limit)).unwrap_or(0)
    }
}

pub(super) fn churn(site: &mut Site, scale: Scale) -> Result<Course> {
    let events = scale.choose(6_000, 100_000);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut done = 0;
    while done < events {
        let number = random.below(SERVICES);
        let count = random.below(9);
        let endpoint = |_| {
            let [three, four] = [random.below(4), 1 + random.below(30)].map(u16::to_be_bytes);
            Ipv4Addr::new(10, 244, 200 + three[1], four[1])
        };
        let mut endpoints: Vec<_> = (0..count).map(endpoint).collect();
        endpoints.sort();
        endpoints.dedup();
        let [service, slice] = idle(number, &endpoints);
        match random.below(10) {
            0 => {
                site.api.delete(&service);
                site.api.delete(&slice);
                done += 2;
            }
            1 => {
                site.api.delete(&slice);
                done += 1;
            }
            2..=4 => {
                site.api.put_all([service, slice]);
                done += 2;
            }
            _ => {
                site.api.put(slice);
                done += 1;
            }
        }
        if done % 50 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let since = Instant::now();
    site.follows(Duration::from_secs(60))?;
    site.awaits_plan(Duration::from_secs(60))?;
    let recovered = since.elapsed();
    for number in 0..SERVICES {
        for object in idle(number, &[]) {
            site.api.delete(&object);
        }
    }
    site.follows(Duration::from_secs(60))?;
    Ok(Course {
        times: done,
        recovered,
    })
}
