//! The only place that draws progress bars on stderr, so that messages and log lines do not break them.

use crate::harmless::harmless;
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, TermLike};
use std::io::{self, Write};
use std::sync::LazyLock;

static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let term = Term::buffered_stderr();
    MultiProgress::with_draw_target(match term.is_term() {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(Narrow(term)), FRAMES_PER_SECOND),
        false => ProgressDrawTarget::hidden(),
    })
});

const FRAMES_PER_SECOND: u8 = 20;
/// Columns that stay free on the right: a terminal echoes `^C` where the cursor is. On a full line it would go to the
/// next one, and the frame above it would stay permanently.
const FREE_COLUMNS: u16 = 3;

/// A terminal a little narrower than it is.
#[derive(Debug)]
struct Narrow<T>(T);

impl<T: TermLike> TermLike for Narrow<T> {
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(FREE_COLUMNS).max(1)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Shows a bar until it is finished.
pub fn show(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Writes while the progress bars are hidden.
pub fn between_frames<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

/// Stderr for log lines.
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a line may quote what came from outside
        let text = String::from_utf8_lossy(bytes);
        between_frames(|| io::stderr().lock().write_all(harmless(&text, true).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use indicatif::ProgressStyle;
    use std::sync::{Arc, Mutex};

    /// Where the cursor stands after what is written on one line.
    #[derive(Clone, Debug, Default)]
    struct Line(Arc<Mutex<(usize, usize)>>);

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            let mut line = self.0.lock().unwrap();
            line.0 += console::measure_text_width(text);
            line.1 = line.1.max(line.0);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().0 = 0;
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_leaves_room_for_what_the_terminal_echoes() {
        let line = Line::default();
        let target = ProgressDrawTarget::term_like(Box::new(Narrow(line.clone())));
        let bar = ProgressBar::with_draw_target(Some(10), target);
        bar.set_style(ProgressStyle::with_template("{spinner} {bar:10} {wide_msg}").unwrap());
        bar.set_message("m".repeat(200));
        bar.tick();
        let widest = line.0.lock().unwrap().1;
        assert!((60..=77).contains(&widest), "{widest} of 80 columns");
    }
}
