//! The frames, and the settings that must agree.

use super::*;
use crate::cluster::settings;
use crate::cluster::wire::{Frame, Hello, read, read_greeting, write};
use model::rows::Rows;
use sources::Batch;
use std::io::{Cursor, ErrorKind};

#[tokio::test]
async fn a_batch_arrives_as_it_was_sent() {
    for batch in Parts::of_fleet(1).partitions.iter().flatten().step_by(7) {
        let frame = Frame::Batch {
            source: 2,
            batch: Box::new(batch.clone()),
            bytes: Some((3, 9)),
            outage: Some("b:9092: away".to_owned()),
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &frame).await.unwrap();
        assert_eq!(read(&mut Cursor::new(bytes)).await.unwrap(), frame);
    }
    let empty = Batch { rows: Rows::default(), ..Batch::default() };
    let mut bytes = Vec::new();
    write(&mut bytes, &Frame::Batch { source: 0, batch: Box::new(empty), bytes: None, outage: None }).await.unwrap();
    for cut in 0..bytes.len() {
        let error = read(&mut Cursor::new(&bytes[..cut])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{cut} of {} bytes", bytes.len());
    }
}

#[tokio::test]
async fn what_is_no_frame_is_refused_before_it_is_taken_in() {
    let kind = |bytes: &'static [u8]| async move { read(&mut Cursor::new(bytes)).await.unwrap_err().kind() };
    assert_eq!(kind(b"\xff\xff\xff\xff and more").await, ErrorKind::InvalidData);
    assert_eq!(kind(b"\x04\x00\x00\x00\xff\xff\xff\xff").await, ErrorKind::InvalidData);
    let greeting = read_greeting::<Hello>(&mut Cursor::new(b"GET / HTTP/1.1\r\n\r\n")).await;
    assert_eq!(greeting.unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn only_settings_that_matter_must_agree() {
    let folder = Path::new("somewhere");
    let hosts = free_hosts(2);
    let here = settings::of(&config(folder, &hosts, ""));
    let elsewhere = ReefConfig { description: "b".to_owned(), ..config(Path::new("/elsewhere"), &hosts, "") };
    assert_eq!(settings::differences(&here, &settings::of(&elsewhere)), None);

    let mut other = config(folder, &hosts, "[correlation]\nenabled = false");
    other.engine.workers = 3;
    other.sources.clear();
    let differences = settings::differences(&here, &settings::of(&other)).unwrap();
    assert_eq!(differences, "correlation.enabled (true here, false there), engine.workers (1 here, 3 there), sources");
}
