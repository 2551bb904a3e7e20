//! The tokens of a check, and where reading them stops.

use winnow::LocatingSlice;
use winnow::ascii::{digit0, digit1};
use winnow::combinator::{alt, opt};
use winnow::error::ParserError;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{one_of, take_while};

use super::super::check::Comparison;

/// The text, which knows how far it was read.
pub(super) type Input<'a> = LocatingSlice<&'a str>;

/// Where reading stops, and what to say about it. While nothing is said, another way of reading may fit.
#[derive(Debug)]
pub(super) struct Fault {
    /// Byte offset.
    pub(super) at: usize,
    pub(super) problem: Option<String>,
}

impl Fault {
    /// No other way of reading is tried.
    pub(super) const fn told(at: usize, problem: String) -> Self {
        Self { at, problem: Some(problem) }
    }
}

impl ParserError<Input<'_>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        Self { at: input.current_token_start(), problem: None }
    }

    fn is_backtrack(&self) -> bool {
        self.problem.is_none()
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// This must come here: where it does not, the problem is told at its first character, unless something
/// more exact was told already.
pub(super) fn expected<'a, O>(
    mut parser: impl Parser<Input<'a>, O, Fault>,
    problem: impl Fn() -> String,
) -> impl Parser<Input<'a>, O, Fault> {
    move |input: &mut Input<'a>| {
        let at = input.current_token_start();
        parser.parse_next(input).map_err(|fault| match fault.problem {
            Some(_) => fault,
            None => Fault::told(at, problem()),
        })
    }
}

pub(super) fn spaces(input: &mut Input<'_>) -> Result<(), Fault> {
    take_while(0.., (' ', '\t')).void().parse_next(input)
}

/// A metric or a query.
pub(super) fn name<'a>(input: &mut Input<'a>) -> Result<&'a str, Fault> {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    (one_of(begins), take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_'))
        .take()
        .parse_next(input)
}

/// Letters of any script, so that an error names the whole of what was meant as one word.
pub(super) fn word<'a>(input: &mut Input<'a>) -> Result<&'a str, Fault> {
    take_while(1.., |c: char| c.is_alphanumeric() || c == '_').parse_next(input)
}

pub(super) fn comparison(input: &mut Input<'_>) -> Result<Comparison, Fault> {
    alt((
        "<=".value(Comparison::AtMost),
        ">=".value(Comparison::AtLeast),
        "<".value(Comparison::Below),
        ">".value(Comparison::Above),
    ))
    .parse_next(input)
}

/// The text of a decimal number. An `e` without digits is no exponent: it belongs to what follows.
pub(super) fn number<'a>(input: &mut Input<'a>) -> Result<&'a str, Fault> {
    let mantissa = alt(((digit1, opt(('.', digit0))).void(), ('.', digit1).void()));
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    (opt('-'), mantissa, opt(exponent)).take().parse_next(input)
}

/// What stands after a number: `%`, `/s`, letters, or nothing.
pub(super) fn unit<'a>(input: &mut Input<'a>) -> Result<&'a str, Fault> {
    let letters = take_while(0.., |c: char| c.is_alphanumeric() || c == '\u{b5}');
    alt(("%", (opt('/'), letters).take())).parse_next(input)
}
