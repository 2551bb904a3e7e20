use proptest::prelude::*;

use super::*;

#[test]
fn a_selector_is_written_with_its_matchers() {
    let base = Selector::new("up");
    assert_eq!(base.to_string(), "up");
    let one = base.with("namespace", "default").one_of("revision", ["abc"]);
    assert_eq!(one.to_string(), r#"up{namespace="default",revision="abc"}"#);
    let two = one.one_of("arm", ["a.b", "c"]).one_of("rule", ["", "c"]);
    assert_eq!(two.to_string(), r#"up{namespace="default",revision="abc",arm=~"a\\.b|c",rule=~"|c"}"#);
}

#[test]
fn no_value_ends_its_string() {
    for (value, written) in [
        (r#"a"} or up{b=""#, r#""a\x22} or up{b=\x22""#),
        ("a\\", r#""a\\""#),
        ("a\nb", r#""a\u000ab""#),
        ("it's", r#""it\x27s""#),
        ("grün", "\"grün\""),
    ] {
        assert_eq!(quoted(value), written);
    }
    let any = Selector::new("x").one_of("a", [".*", "b|c"]);
    assert_eq!(any.to_string(), r#"x{a=~"\\.\\*|b\\|c"}"#);
}

#[test]
fn a_moment_is_written_to_the_millisecond() {
    for (ms, written) in
        [(1_700_000_000_123, "1700000000.123"), (5, "0.005"), (0, "0.000"), (-1500, "-1.500")]
    {
        assert_eq!(seconds(Mark(ms)), written);
    }
}

#[test]
fn a_span_of_time_is_never_zero() {
    for (ms, written) in [(300_000, "300s"), (1500, "1500ms"), (1, "1ms"), (0, "1ms")] {
        assert_eq!(duration(Millis(ms)), written);
    }
}

/// What PromQL reads where a string begins with this quote, and what is left behind it. The escapes are those of Go:
/// <https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals>.
fn read_string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix(quote)?;
    let mut read = String::new();
    loop {
        let mut chars = rest.chars();
        match chars.next()? {
            c if c == quote => return Some((read, chars.as_str())),
            // no string goes over the end of a line
            '\n' => return None,
            '\\' => {
                let digits = match chars.next()? {
                    'x' => 2,
                    'u' => 4,
                    c @ ('\\' | '"' | '\'') if c == '\\' || c == quote => {
                        read.push(c);
                        rest = chars.as_str();
                        continue;
                    }
                    _ => return None,
                };
                let (number, after) = chars.as_str().split_at_checked(digits)?;
                let c = char::from_u32(u32::from_str_radix(number, 16).ok()?)?;
                // two digits are a byte, and above 7f none is a character by itself
                assert!(digits == 4 || c.is_ascii());
                read.push(c);
                rest = after;
            }
            c => {
                read.push(c);
                rest = chars.as_str();
            }
        }
    }
}

/// The texts that a regular expression of literals means; `None` when anything else is in it.
fn read_alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => all.push(String::new()),
            '\\' => {
                // before a letter or a digit it would be a class
                let escaped = chars.next().filter(char::is_ascii_punctuation)?;
                all.last_mut()?.push(escaped);
            }
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => all.last_mut()?.push(c),
        }
    }
    Some(all)
}

/// Any text, and more often than others those that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"',
        '\'',
        '`',
        '\\',
        '\n',
        '\r',
        '\0',
        '{',
        '}',
        '(',
        ')',
        '[',
        ']',
        '|',
        '.',
        '*',
        '+',
        '?',
        '^',
        '$',
        '#',
        '=',
        '~',
        '!',
        ',',
        'x',
        'u',
        '\u{2028}',
        '\u{85}',
        '\u{10ffff}',
        'é',
    ]);
    prop::collection::vec(prop_oneof![special, any::<char>()], 0..20)
        .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn whatever_a_label_holds_stays_inside_of_its_quotes(value in text(), other in text()) {
        let written = Selector::new("up").with("a", &value).one_of("b", [&*other, &*value]).to_string();
        let rest = written.strip_prefix("up{a=").unwrap();
        let (read, rest) = read_string(rest, '"').unwrap();
        prop_assert_eq!(&read, &value);
        let rest = rest.strip_prefix(",b=~").unwrap();
        let (pattern, rest) = read_string(rest, '"').unwrap();
        prop_assert_eq!(rest, "}");
        prop_assert_eq!(read_alternatives(&pattern), Some(vec![other, value]));
    }

    #[test]
    fn what_is_escaped_means_the_same_in_either_quotes(value in text()) {
        for quote in ['"', '\''] {
            let written = format!("{quote}{}{quote} rest", escaped(&value));
            prop_assert_eq!(read_string(&written, quote), Some((value.clone(), " rest")));
        }
    }
}
