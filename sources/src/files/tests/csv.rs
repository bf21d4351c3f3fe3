//! CSV: stray quotes, positions of headers, separators.

use super::*;

fn row(number: usize, name: &str) -> String {
    format!("shop-production,{name},latency_ms,{},1.5,{number},\n", 1_672_770_000_000_i64 + number as i64 * 60_000)
}

fn rows(range: std::ops::Range<usize>) -> String {
    range.map(|number| row(number, "api")).collect()
}

fn places(chunk: &Chunk) -> Vec<String> {
    reasons(chunk).into_iter().map(|(place, _)| place).collect()
}

#[test]
fn a_stray_quote_costs_its_record_and_no_other() {
    for stray in ["\"api", "\"api, the \"\"big\"\" one", "\"\"\"api"] {
        for line_end in ["\n", "\r\n", "\r"] {
            let text = format!("{METRIC_HEADER}{}{}{}", rows(2..10), row(10, stray), rows(11..500));
            let chunk = chunks("m.csv", &text.replace('\n', line_end), RowKind::Metrics).unwrap();
            assert_eq!(chunk.rows.metrics.len(), 8 + 489, "{stray} {line_end:?}");
            assert_eq!(places(&chunk), ["m.csv:10"], "{stray} {line_end:?}");
            assert!(chunk.rejects[0].detail.contains("quote"), "{}", chunk.rejects[0].detail);
        }
    }
}

#[test]
fn rows_that_are_refused_are_counted_behind_a_stray_quote_too() {
    let naive = |text: String| text.replace("16727", "2023-01-03 19:");
    let text = format!("{METRIC_HEADER}{}{}", row(2, "\"api"), naive(rows(3..200)));
    let chunk = chunks("m.csv", &text, RowKind::Metrics).unwrap();
    assert_eq!((chunk.rows.metrics.len(), chunk.rejects.len()), (0, 198));
}

#[test]
fn two_stray_quotes_far_apart_cost_two_records() {
    let header = "colony_id,service_id,metric_name,timestamp,p50,p95,note\n";
    let line = |number: usize, note: &str| {
        let time = 1_672_770_000_000_i64 + number as i64 * 60_000;
        format!("shop-production,api,latency_ms,{time},1,2,{note}\n")
    };
    let body: String =
        (2..300).map(|number| line(number, if number == 50 || number == 90 { "\"5" } else { "ok" })).collect();
    let chunk = chunks("m.csv", &format!("{header}{body}"), RowKind::Metrics).unwrap();
    assert_eq!((chunk.rows.metrics.len(), places(&chunk)), (296, vec!["m.csv:50".to_owned(), "m.csv:90".to_owned()]));
    // the second one ends its line, as the end of a long value would
    let closing: String = (2..300)
        .map(|number| match number {
            50 => line(number, "\"opens"),
            90 => line(number, "closes\""),
            _ => line(number, "ok"),
        })
        .collect();
    let chunk = chunks("m.csv", &format!("{header}{closing}"), RowKind::Metrics).unwrap();
    assert_eq!(chunk.rows.metrics.len(), 297, "the rows between the quotes are rows");
    assert_eq!(places(&chunk), ["m.csv:50"]);
}

#[test]
fn a_quoted_line_break_stays_one_record() {
    let header = "event_id,colony_id,timestamp,event_type,service_id,description\n";
    let text = "e1,shop-production,1672770000000,deploy,api,\"first, of all\r\n\r\nthen: a,b,c,d,e,f\nlast\"\n\
                e2,shop-production,1672770000000,deploy,api,plain\n";
    let chunk = chunks("e.csv", &format!("{header}{text}"), RowKind::Events).unwrap();
    assert_eq!(chunk.rejects, []);
    assert_eq!(chunk.rows.events[0].description, "first, of all\r\n\r\nthen: a,b,c,d,e,f\nlast");
    assert_eq!(chunk.rows.events[1].description, "plain");
}

#[test]
fn a_quote_that_nothing_closes_is_refused_line_by_line_beyond_the_longest_record() {
    let junk: String = (0..crate::files::csv::RECORD_BYTES_MAX / 40).map(|number| format!("{number:059}\n")).collect();
    let text = format!("{METRIC_HEADER}{}{junk}{}", row(2, "\"api"), row(3, "api"));
    let chunk = chunks("m.csv", &text, RowKind::Metrics).unwrap();
    assert_eq!(chunk.rows.metrics.len(), 1, "the row behind the junk is read");
    assert_eq!(chunk.rejects.len(), 1 + junk.lines().count(), "every line is counted");
}

#[test]
fn separators_titles_and_blank_lines_are_what_people_have() {
    let plain = format!("{METRIC_HEADER}{}", rows(2..6));
    let expected = chunks("m.csv", &plain, RowKind::Metrics).unwrap().rows;
    assert_eq!(expected.metrics.len(), 4);
    for text in [
        plain.replace(',', ";"),
        plain.replace(',', "\t"),
        plain.replace(',', "|"),
        format!("\u{feff}{plain}"),
        format!("#datatype string\n# made by hand, at noon\n\n{plain}"),
        plain.replace('\n', "\n,,,,,,\n"),
        plain.replace('\n', ",,\n"),
        plain.replace("colony_id,service_id", "Colony ID,serviceId"),
    ] {
        let chunk = chunks("m.csv", &text, RowKind::Metrics).unwrap();
        assert_eq!((chunk.rows, chunk.rejects), (expected.clone(), Vec::new()), "{text}");
    }
    let error = chunks("m.csv", &format!("2023 latencies\nof the shop\n{}", rows(2..6)), RowKind::Metrics);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("required columns are missing"), "{error}");
    assert!(error.contains("line 1 was taken for the header: \"2023 latencies\""), "{error}");
}
