use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;

use super::*;
use crate::encode::{StreamMessage, StreamTimes};

const TIMES: StreamTimes = StreamTimes {
    heartbeat: Duration::from_secs(60),
    stalled: Duration::from_secs(60),
};

fn message(number: usize, bytes: usize) -> StreamMessage {
    StreamMessage {
        header: Bytes::from(format!("message {number}")),
        body: vec![
            Bytes::from(vec![number as u8; bytes / 2]),
            Bytes::from(vec![7; bytes / 2]),
        ],
        ..StreamMessage::default()
    }
}

fn schema() -> StreamMessage {
    StreamMessage {
        header: Bytes::from_static(b"schema"),
        body: Vec::new(),
        ..StreamMessage::default()
    }
}

fn text(messages: &[StreamMessage]) -> Vec<(String, Vec<u8>)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    messages
        .iter()
        .map(|message| (text(&message.header), message.body.concat()))
        .collect()
}

async fn read(answer: &Arc<Answer>, messages: std::ops::Range<usize>) -> Result<Vec<StreamMessage>> {
    answer.read(Reading { messages, times: TIMES }).try_collect().await
}

/// Keeps some messages under a key.
async fn keep(spool: &Spool, key: u8, messages: &[StreamMessage]) -> bool {
    let mut recorder = spool.tee([key; 32], QueryId::unique(), "alice", schema(), None);
    for message in messages {
        if !recorder.push(message, 1).await.unwrap() {
            return false;
        }
    }
    recorder.finish();
    true
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("jetway-spool-test-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn what_is_kept_comes_back() {
    let folder = folder("back");
    for largest_in_memory in [1 << 20, 20_000, 0] {
        let spool = Spool::open(SpoolOptions {
            largest_in_memory,
            folder: Some(folder.clone()),
            ..SpoolOptions::default()
        })
        .unwrap();
        let messages: Vec<_> = (0..40).map(|number| message(number, 1000)).collect();
        assert!(keep(&spool, 1, &messages).await);
        assert!(spool.find(&[2; 32]).is_none());
        let answer = spool.find(&[1; 32]).unwrap();
        let mut expected = vec![schema()];
        expected.extend(messages.clone());
        assert!(text(&read(&answer, 0..usize::MAX).await.unwrap()) == text(&expected));
        let mut some = vec![schema()];
        some.extend(messages[7..19].to_vec());
        assert!(text(&read(&answer, 7..19).await.unwrap()) == text(&some));
        assert_eq!(read(&answer, 40..usize::MAX).await.unwrap().len(), 1);
        let shown = spool.snapshot().remove(0);
        assert_eq!(
            (shown.rows, shown.is_complete, shown.account.as_str()),
            (40, true, "alice")
        );
        assert!(shown.memory + shown.disk >= 40_000);
        assert!(shown.memory <= largest_in_memory);
        drop((answer, spool));
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "a file was left behind");
    std::fs::remove_dir(&folder).unwrap();
}

#[tokio::test]
async fn memory_is_bounded_and_the_oldest_go() {
    let spool = Spool::new(SpoolOptions {
        memory: 40_000,
        ..SpoolOptions::default()
    });
    for key in 0..3 {
        assert!(keep(&spool, key, &[message(0, 10_000)]).await);
    }
    // The first one was read last, and the second one is being read.
    let second = spool.find(&[1; 32]).unwrap();
    assert!(spool.find(&[0; 32]).is_some());
    assert!(keep(&spool, 3, &[message(0, 10_000)]).await);
    assert!(spool.find(&[2; 32]).is_none());
    for key in [0, 1, 3] {
        assert!(spool.find(&[key; 32]).is_some(), "{key}");
    }
    assert!(spool.snapshot().iter().map(|shown| shown.memory).sum::<u64>() <= 40_000);
    drop(second);
    // What does not fit at all is not kept, and drives nobody out.
    assert!(!keep(&spool, 4, &[message(0, 60_000)]).await);
    assert_eq!(spool.snapshot().len(), 3);
}

#[tokio::test]
async fn large_answers_are_kept_when_they_were_expensive() {
    let spool = Spool::new(SpoolOptions {
        small: 10_000,
        ..SpoolOptions::default()
    });
    assert!(!keep(&spool, 1, &[message(0, 8_000), message(1, 8_000)]).await);
    let mut recorder = spool.tee([1; 32], QueryId::unique(), "alice", schema(), None);
    recorder.waited(Duration::from_secs(3));
    for number in 0..3 {
        assert!(recorder.push(&message(number, 8_000), 1).await.unwrap());
    }
    recorder.finish();
    assert!(spool.find(&[1; 32]).is_some());
}

#[tokio::test]
async fn readers_follow_a_recording_and_see_how_it_ends() {
    let spool = Spool::new(SpoolOptions::default());
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let answer = spool.record([1; 32], "alice", schema(), None, |mut recorder| async move {
        recorder.push(&message(0, 100), 1).await?;
        let _ = wait.await;
        recorder.push(&message(1, 100), 1).await?;
        recorder.finish();
        Ok(())
    });
    let found = spool.find(&[1; 32]).unwrap();
    let reader = tokio::spawn(async move { read(&found, 0..usize::MAX).await.unwrap().len() });
    assert_eq!(read(&answer, 0..1).await.unwrap().len(), 2);
    go.send(()).unwrap();
    assert_eq!(reader.await.unwrap(), 3);
    assert!(answer.progress().unwrap().2);

    let failed = spool.record([2; 32], "alice", schema(), None, |_recorder| async {
        Err(Error::new(crate::ErrorKind::ResourceExhausted, "no memory"))
    });
    let error = read(&failed, 0..usize::MAX).await.unwrap_err();
    assert_eq!(error.message(), "no memory");
    assert!(spool.find(&[2; 32]).is_none());
}

#[tokio::test]
async fn files_of_an_earlier_process_are_removed() {
    let folder = folder("earlier");
    std::fs::write(folder.join("x.messages"), b"old").unwrap();
    std::fs::write(folder.join("other"), b"not ours").unwrap();
    Spool::open(SpoolOptions {
        folder: Some(folder.clone()),
        ..SpoolOptions::default()
    })
    .unwrap();
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["other"]);
    std::fs::remove_dir_all(&folder).unwrap();
}
