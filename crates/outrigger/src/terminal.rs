//! What the terminal can show: colours only where a person looks and does not mind.

use std::io::{self, IsTerminal};

use chassis::config::Colour;
use indicatif::{ProgressBar, ProgressStyle};
use terminal_size::{Height, Width, terminal_size};

/// Whether `NO_COLOR` is set to anything.
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether stderr shows colours.
pub fn stderr_has_colour() -> bool {
    io::stderr().is_terminal() && !no_color()
}

/// Whether stdout shows colours.
pub fn stdout_has_colour() -> bool {
    io::stdout().is_terminal() && !no_color()
}

/// Whether a person may look at stdout.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Characters in a line of the terminal; a fair line where there is none.
pub fn width() -> usize {
    terminal_size().map_or(100, |(Width(width), _)| usize::from(width))
}

/// Lines of the terminal.
pub fn height() -> usize {
    terminal_size().map_or(24, |(_, Height(height))| usize::from(height))
}

/// The same as the configuration's diagnostics want it.
pub fn stderr_colour() -> Colour {
    if stderr_has_colour() { Colour::On } else { Colour::Off }
}

/// A bar on stderr for work of `total` steps, shown on a terminal only.
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours, or without.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// For stdout.
    pub fn stdout() -> Self {
        Self::new(stdout_has_colour())
    }

    /// Something failed.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Something to be careful about.
    pub fn odd(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// Something that helps.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Something that matters most.
    pub fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Something beside the point.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
