//! The terminal, which is as it was before when this is gone, whatever happens.

use super::screen::Screen;
use crate::logging::{self, Hold};
use ratatui_core::terminal::Terminal as Drawn;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::event::{self, Event};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, Stdout};
use tokio::sync::mpsc::{self, Receiver};

/// Keys between who reads and who obeys them.
const EVENT_BUFFER: usize = 16;

/// Drawn on, without echo, on the alternate screen. The log is held back.
pub(super) struct Terminal {
    drawn: Drawn<CrosstermBackend<Stdout>>,
    // After the screen is left.
    log: Hold,
}

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn open() -> io::Result<Self> {
        let log = logging::hold();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Drawn::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(drawn) => Ok(Self { drawn, log }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws what there is to be seen.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        let draw = |frame: &mut ratatui_core::terminal::Frame<'_>| {
            let area = frame.area();
            screen.draw(area, frame.buffer_mut());
        };
        self.drawn.draw(draw).map(drop)
    }

    /// What is typed, and that the size is another one, by a thread of its own: it ends with the
    /// process.
    pub(super) fn events(&self) -> Receiver<Event> {
        let (told, events) = mpsc::channel(EVENT_BUFFER);
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if told.blocking_send(event).is_err() {
                    return;
                }
            }
        });
        events
    }

    /// The last line of the log since it was opened.
    pub(super) fn last_line(&self) -> Option<String> {
        self.log.last_line()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Nobody is left to be told of a failure.
fn restore() {
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}
