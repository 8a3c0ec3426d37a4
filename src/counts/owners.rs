//! Questions to the sync loop, which has the objects: whose frontends are.

use crate::world::World;
use rules::model::{Family, Frontend, ObjectName};
use rules::owners::{Owned, owned};
use tokio::sync::{mpsc, oneshot};

/// So many frontends are asked for at once, as the sync loop does nothing else meanwhile.
const AT_ONCE: usize = 256;

/// A question, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Question {
    family: Family,
    frontends: Vec<Frontend>,
    /// Services of which one of these is told when it is gone.
    services: Vec<ObjectName>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    owned: Vec<Owned>,
    gone: Vec<ObjectName>,
}

impl Question {
    /// Answers. Nobody may be waiting any more.
    pub(crate) fn answer(self, world: &World) {
        let here = world.here();
        let config = here.config(self.family);
        let owned = owned(&config, here.view(), &self.frontends);
        let services = self.services.into_iter();
        let gone = services.filter(|name| world.state().service(name).is_none());
        let answer = Answer {
            owned,
            gone: gone.collect(),
        };
        drop(self.answer.send(answer));
    }
}

/// Asks for all of them. `None` if the loop has ended. Not for a runtime's threads: it waits.
pub(super) fn ask(
    questions: &mpsc::Sender<Question>,
    frontends: Vec<Frontend>,
    services: &[ObjectName],
) -> Option<(Vec<Owned>, Vec<ObjectName>)> {
    let (mut all, mut gone) = (Vec::new(), Vec::new());
    let mut send = |family, frontends: Vec<Frontend>, services: Vec<ObjectName>| {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            family,
            frontends,
            services,
            answer,
        };
        questions.blocking_send(question).ok()?;
        let answer = answered.blocking_recv().ok()?;
        all.extend(answer.owned);
        gone.extend(answer.gone);
        Some(())
    };
    for services in services.chunks(AT_ONCE) {
        send(Family::V4, Vec::new(), services.to_vec())?;
    }
    for family in Family::ALL {
        let of_family = frontends.iter().copied();
        let of_family = of_family.filter(|own| own.address.map(Family::of) == Some(family));
        let of_family: Vec<Frontend> = of_family.collect();
        for some in of_family.chunks(AT_ONCE) {
            send(family, some.to_vec(), Vec::new())?;
        }
    }
    Some((all, gone))
}
