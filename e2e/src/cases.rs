//! Cases of a check, told by groups and counted.

use anyhow::Result;

/// How many cases came out how.
#[derive(Debug, Default)]
pub struct Cases {
    passed: usize,
    failed: usize,
}

impl Cases {
    /// Does `work` and counts it; a failure is told. Returns the value, if there is one.
    pub fn case<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match work() {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {name}\n  {error:#}");
                None
            }
        }
    }

    /// Runs the cases of a group and tells, in one line, how many of them came out well.
    pub fn group<T>(&mut self, name: &str, cases: impl FnOnce(&mut Self) -> T) -> T {
        let (passed, failed) = (self.passed, self.failed);
        let value = cases(self);
        let (passed, failed) = (self.passed - passed, self.failed - failed);
        let mark = if failed == 0 { "ok    " } else { "FAILED" };
        println!("{mark}  {name}: {passed} of {}", passed + failed);
        value
    }

    /// Cases that passed.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Cases that failed.
    pub fn failed(&self) -> usize {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::Cases;

    #[test]
    fn failures_within_a_group_are_counted() {
        let mut cases = Cases::default();
        let value = cases.group("two", |cases| {
            cases.case("bad", || anyhow::bail!("so it is") as anyhow::Result<()>);
            cases.case("good", || Ok(7))
        });
        assert_eq!((value, cases.passed(), cases.failed()), (Some(7), 1, 1));
    }
}
