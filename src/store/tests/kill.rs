//! A process that records is killed at any moment, again and again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Names the file, in the environment of the process to kill.
const FILE: &str = "STORE_KILL_FILE";

/// Number of kills; more on demand.
const KILLS: &str = "STORE_KILLS";

/// The world after so many steps. Each step changes one user's factor, so that after n steps there must be n transitions.
fn world_after(steps: u32) -> World {
    let mut world = World::new();
    world.now += SignedDuration::from_secs(i64::from(steps));
    for step in 0..steps {
        let person = 6 + step % 50;
        if !world.totp.remove(person) {
            world.totp.insert(person);
        }
    }
    world
}

/// The step that the file is at, by the time of its baseline.
async fn step(store: &Store) -> Option<u32> {
    let baseline = store.baseline("erp", Duration::MAX).await.expect("read")?;
    let seconds = baseline.at.as_second() - start().as_second();
    Some(u32::try_from(seconds).expect("a step"))
}

/// Not a test: the process to kill. It continues from the state of the file, and prints each step that is recorded.
#[tokio::test]
#[ignore = "runs as a child of the test below"]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let store = open(Path::new(&path));
    let mut next = step(&store).await.map_or(0, |step| step + 1);
    loop {
        world_after(next)
            .poll(&store, "erp")
            .await
            .expect("recorded");
        let mut out = std::io::stdout();
        writeln!(out, "\nrecorded {next}")
            .and_then(|()| out.flush())
            .expect("the parent listens");
        next += 1;
    }
}

#[tokio::test]
async fn a_kill_loses_no_committed_transition_and_counts_none_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store.db");
    let kills = std::env::var(KILLS)
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(10);
    let mut random = u64::from(std::process::id()) | 1;
    for round in 0..kills {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (lines, spins) = (random >> 59, (random >> 20) & 0xF_FFFF);
        let mut child = Command::new(std::env::current_exe().expect("this executable"))
            .args([
                "--exact",
                "store::tests::kill::child",
                "--ignored",
                "--nocapture",
            ])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let steps = output.lines().map_while(Result::ok).filter_map(|line| {
            let step = line.strip_prefix("recorded ")?;
            step.parse::<u32>().ok()
        });
        let mut steps = steps.peekable();
        for _ in 0..lines {
            steps.next();
        }
        let said = steps
            .next()
            .expect("the child continues until it is killed");
        for _ in 0..spins {
            std::hint::spin_loop();
        }
        child.kill().expect("killed");
        child.wait().expect("reaped");
        // Steps that it printed before it died count as committed.
        let said = steps.last().unwrap_or(said);

        let store = open(&path);
        assert_eq!(
            (store.errors(), store.health().moved_aside),
            (0, None),
            "round {round}"
        );
        let at = step(&store).await.expect("a baseline");
        assert!(
            at >= said,
            "round {round}: step {said} was recorded, the file is at {at}"
        );
        let counted = counters(&store, "erp").await.expect("counters");
        assert_eq!(total(&counted), u64::from(at), "round {round}");
        let page = Page {
            limit: u32::MAX,
            ..Page::default()
        };
        let log = store
            .changes(vec!["erp".into()], Range::default(), page)
            .await
            .expect("read");
        assert_eq!(log.len(), at.min(10_000) as usize, "round {round}");
        let history = store.history("erp", Range::default()).await.expect("read");
        assert_eq!(
            history.last().map(|row| row.at),
            Some(world_after(at).now),
            "round {round}"
        );
        store.close().await;
    }
}
