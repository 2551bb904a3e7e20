//! Commands in a document, and what they are said to print.
//!
//! - A line of a ```` ```console ```` block that begins with `$ ` is a command, lines that begin with `> ` go on with it, and all
//!   others up to the next command are what it prints. A command with nothing below it may print anything.
//! - `…` alone in a line is any number of lines, as a word of a line any number of words, within a word
//!   any characters. A time like `12s` or `3m5s` is any such time, and widths of columns do not count.
//! - `^C` in the last line: the command is ended once it has printed what is above.

/// Anything.
const ANY: &str = "…";

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Where it is written, counted from 1.
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) shown: Vec<String>,
    pub(super) is_interrupted: bool,
}

impl Step {
    /// All commands of a document, in order.
    pub(super) fn all_of(document: &str) -> Vec<Self> {
        let mut steps: Vec<Self> = Vec::new();
        let mut block: Option<&str> = None;
        for (n, line) in document.lines().enumerate() {
            let line_number = n + 1;
            if let Some(language) = line.trim_start().strip_prefix("```") {
                block = if block.is_some() { None } else { Some(language.trim()) };
                continue;
            }
            let Some(language) = block else { continue };
            let command = line.strip_prefix("$ ");
            if language != "console" {
                assert!(
                    command.is_none(),
                    "line {line_number}: a command outside of a console block is not run"
                );
                continue;
            }
            let last = steps.last_mut();
            match (command, line.strip_prefix("> "), last) {
                (Some(command), ..) => {
                    steps.push(Self { line: line_number, command: command.to_owned(), ..Self::default() });
                }
                (None, Some(more), Some(last)) if last.shown.is_empty() => {
                    last.command = format!("{}\n{more}", last.command);
                }
                (None, _, Some(last)) if line == "^C" => last.is_interrupted = true,
                (None, _, Some(last)) => last.shown.push(line.to_owned()),
                (None, _, None) => panic!("line {line_number}: output before any command"),
            }
        }
        assert_eq!(block, None, "the last block has no end");
        for step in &mut steps {
            // between two commands
            while step.shown.last().is_some_and(String::is_empty) {
                step.shown.pop();
            }
        }
        steps
    }

    /// Is this what is shown?
    pub(super) fn fits(&self, printed: &str) -> bool {
        self.shown.is_empty() || lines_fit(&self.shown, printed)
    }

    /// Does what was printed so far begin with what is shown?
    pub(super) fn begins(&self, printed: &str) -> bool {
        let mut shown = self.shown.clone();
        shown.push(ANY.to_owned());
        lines_fit(&shown, printed)
    }
}

fn lines_fit(shown: &[String], printed: &str) -> bool {
    let shown: Vec<&str> = shown.iter().map(|line| line.trim()).collect();
    let printed: Vec<&str> = printed.lines().map(str::trim).collect();
    fit(&shown, &printed, &|line| *line == ANY, &line_fits)
}

fn line_fits(shown: &&str, printed: &&str) -> bool {
    let words = |line| str::split_whitespace(line).collect::<Vec<&str>>();
    fit(&words(shown), &words(printed), &|word| *word == ANY, &|shown, printed| word_fits(shown, printed))
}

fn word_fits(shown: &str, printed: &str) -> bool {
    let letters = |word: &str| word.chars().collect::<Vec<_>>();
    let any = |letter: &char| ANY.contains(*letter);
    (is_time(shown) && is_time(printed)) || fit(&letters(shown), &letters(printed), &any, &char::eq)
}

/// Like `12s` or `3m5s`.
fn is_time(word: &str) -> bool {
    let mut parts = word.split_inclusive(['d', 'h', 'm', 's']).peekable();
    let is_part =
        |part: &str| part.strip_suffix(['d', 'h', 'm', 's']).is_some_and(|n| n.parse::<u64>().is_ok());
    parts.peek().is_some() && parts.all(is_part)
}

/// Whether a sequence fits a pattern, some of whose parts stand for any number of parts.
fn fit<T>(pattern: &[T], parts: &[T], is_any: &dyn Fn(&T) -> bool, same: &dyn Fn(&T, &T) -> bool) -> bool {
    match (pattern, parts) {
        ([], []) => true,
        ([first, rest @ ..], _) if is_any(first) => {
            (0..=parts.len()).any(|n| fit(rest, &parts[n..], is_any, same))
        }
        ([first, rest @ ..], [part, parts @ ..]) => same(first, part) && fit(rest, parts, is_any, same),
        _ => false,
    }
}

#[test]
fn commands_are_found_with_what_they_print() {
    let document =
        "text\n```sh\nnot run\n```\n```console\n$ one \\\n>   more\nshown\n\n$ two\nA\n^C\n```\n$ no block\n";
    let step = |line, command: &str, shown: &[&str], is_interrupted| Step {
        line,
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
        is_interrupted,
    };
    assert_eq!(
        Step::all_of(document),
        [step(6, "one \\\n  more", &["shown"], false), step(10, "two", &["A"], true)]
    );
}

#[test]
fn what_is_shown_is_compared_but_for_times_widths_and_what_is_left_out() {
    let check = |shown: &str, printed: &str, expected: bool| {
        let step = Step { shown: shown.lines().map(str::to_owned).collect(), ..Step::default() };
        assert_eq!(step.fits(printed), expected, "{shown:?} and {printed:?}");
    };
    check("", "whatever", true);
    check("a b", "a   b\n", true);
    check("a b", "a c", false);
    check("a", "a\nb", false);
    check("a\n…", "a\nb\nc", true);
    check("…\nc", "a\nb", false);
    check("edge-… 12s", "edge-1a2b 3m5s", true);
    check("edge-… 12s", "edge-1a2b soon", false);
    check("a … d", "a b c d", true);
    check("a … d", "a b c", false);
}
