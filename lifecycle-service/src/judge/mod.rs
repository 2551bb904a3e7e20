//! `lifecycle judge`: the statistics of release decisions on numbers from a file, without a rollout.

mod bucket;
mod course;
mod mannwhitney;
mod read;
mod sequential;
mod slo;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use lifecycle_core::spec::document;
use lifecycle_core::spec::field::Field;
use serde_json::Value;

use crate::exit::Exit;
use crate::input::{self, BadInput};
use crate::output::{Color, Output};
use course::Course;
use mannwhitney::Compared;

const HELP: &str = "\
The file is one JSON object; `judge` says which test it is for. A look has what was counted
since the look before, over the same time in both arms. Wherever it stops, at any look, a good
version fails with probability alpha at the most.

  sequential   error rates of two arms (GRID-S): a look is [canary failed, canary requests,
               stable failed, stable requests]; r0, 1 or more, is the ratio that is tolerated
    {\"judge\": \"sequential\", \"alpha\": 0.01, \"eta\": 1, \"r0\": 1,
     \"looks\": [[1, 250, 4, 4750], [9, 1250, 4, 3750]]}

    With rmax and beta it passes early, once the canary is certainly less than rmax times as
    bad (wrong with probability beta at the most):
    {\"judge\": \"sequential\", \"rmax\": 2, \"beta\": 0.05, \"looks\": [[1, 5000, 9, 5000]]}

  slo          one arm against the error rate p0: a look is [failed, requests]
    {\"judge\": \"slo\", \"alpha\": 0.01, \"p0\": 0.01, \"looks\": [[4, 300], [9, 310]]}

  bucket       latencies of two arms, from cumulative histograms: le are the finite bounds; a
               look has of each arm how many requests were within each, and all of them last
    {\"judge\": \"bucket\", \"le\": [0.1, 0.5], \"bounds\": [0.5],
     \"looks\": [{\"canary\": [60, 93, 100], \"stable\": [700, 880, 900]}]}

    Which bounds are tested has to be known before the first look. Without bounds, before
    (counts of stable from that time) chooses those with 90 % to 99 % of the requests below,
    which tell of the 95th percentile; without either, all are tested:
    {\"judge\": \"bucket\", \"le\": [0.1, 0.5], \"before\": [700, 880, 900],
     \"looks\": [{\"canary\": [60, 93, 100], \"stable\": [700, 880, 900]}]}

  mannwhitney  samples of a metric in two arms, compared once, as Kayenta does
    {\"judge\": \"mannwhitney\", \"confidence\": 0.98, \"tolerance\": 0.25,
     \"canary\": [20, 22, 21, 25], \"baseline\": [1, 2, 3, 2]}

    direction is \"either\" (default), \"increase\" or \"decrease\"; effect is \"mean-ratio\"
    (default) or \"cles\"; allowed has the sizes of it from which on a change matters:
    {\"judge\": \"mannwhitney\", \"direction\": \"increase\", \"effect\": \"cles\",
     \"allowed\": {\"decrease\": 0.3, \"increase\": 0.7},
     \"canary\": [20, 22, 21, 25], \"baseline\": [1, 2, 3, 2]}

Defaults: alpha 0.01, eta 1 (less where failures come in clumps: 1 / their size), r0 1,
confidence 0.98, tolerance 0.25.

--output json prints one line a look, with e null when it is beyond a double, and logE its
natural logarithm; the verdict is continue, fail (which stays) or pass (until it fails):
  {\"look\":0,\"e\":0.91,\"logE\":-0.08,\"verdict\":\"continue\"}
For mannwhitney it prints one line, with the shift of the canary; all three numbers are null
when an arm has no samples. The class is pass, high, low or nodata:
  {\"lower\":17.8,\"upper\":27.8,\"estimate\":20.0,\"class\":\"high\"}

Exit status: 0 whatever the verdict, 2 for a bad file.";

/// Judge counts or samples of two versions: the numbers of each look, and what they say
#[derive(Debug, Args)]
#[command(after_long_help = HELP, after_help = "--help has the format of the file and an example of each test.")]
pub(crate) struct JudgeArgs {
    /// What was counted, as JSON; - reads it from standard input
    file: PathBuf,
    /// One line a look for people, or one JSON object a look
    #[arg(long, default_value = "text")]
    output: Output,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

/// What a file is answered with.
enum Answer {
    Looks(Course),
    Samples(Compared),
}

/// Judges and prints.
pub(crate) fn carry_out(args: JudgeArgs) -> anyhow::Result<Exit> {
    let JudgeArgs { file, output, color } = args;
    let text = input::read_or_stdin(&file)?;
    let value = document(&text, "object").map_err(|error| BadInput::in_file(&file, error))?;
    let answer = answer(&value)?;
    let mut out = std::io::BufWriter::new(color.stdout());
    match (&answer, output) {
        (Answer::Looks(course), Output::Text) => text::looks(&mut out, course)?,
        (Answer::Samples(compared), Output::Text) => text::samples(&mut out, compared)?,
        (Answer::Looks(course), Output::Json) => {
            for look in &course.looks {
                serde_json::to_writer(&mut out, look)?;
                writeln!(out)?;
            }
        }
        (Answer::Samples(compared), Output::Json) => {
            serde_json::to_writer(&mut out, compared)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Everything is read and judged before anything is printed.
fn answer(value: &Value) -> Result<Answer, BadInput> {
    type Judge = fn(&Field<'_>) -> Result<Answer, BadInput>;
    const JUDGES: [(&str, Judge); 4] = [
        ("sequential", |file| sequential::judge(file).map(Answer::Looks)),
        ("slo", |file| slo::judge(file).map(Answer::Looks)),
        ("bucket", |file| bucket::judge(file).map(Answer::Looks)),
        ("mannwhitney", |file| mannwhitney::judge(file).map(Answer::Samples)),
    ];
    let file = Field::root(value, "object");
    let entries = file.entries(100)?;
    let Some((_, judge)) = entries.into_iter().find(|(name, _)| *name == "judge") else {
        return Err(BadInput::new("judge: is missing: write \"judge\": \"sequential\""));
    };
    judge.one_of("a judge", &JUDGES)?(&file)
}
