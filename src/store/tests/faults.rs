//! Faults of the file, after which the daemon continues.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;

struct Scene {
    _directory: tempfile::TempDir,
    path: PathBuf,
    world: World,
}

impl Scene {
    /// A file with two polls and one transition in it, closed.
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store.db");
        let store = open(&path);
        let mut world = World::new();
        world.poll(&store, "erp").await.expect("recorded");
        world.later().totp.remove(10);
        world.poll(&store, "erp").await.expect("recorded");
        store.close().await;
        Self {
            _directory: directory,
            path,
            world,
        }
    }

    fn moved_aside(&self) -> Vec<PathBuf> {
        let directory = self.path.parent().expect("a directory");
        let names = fs::read_dir(directory)
            .expect("readable")
            .map(|entry| entry.expect("an entry").path());
        names
            .filter(|path| path.to_string_lossy().contains(".corrupt-"))
            .collect()
    }
}

#[tokio::test]
async fn where_nothing_can_be_written_calls_fail_and_say_why() {
    // No user, not even root, creates files there.
    let path = Path::new("/proc/odoo-mfa-exporter/store.db");
    let store = open(path);
    let health = store.health();
    let (_, reason) = health.failing.expect("failing");
    assert!(
        reason.contains("/proc/odoo-mfa-exporter/store.db cannot be made"),
        "{reason}"
    );
    assert_eq!(store.errors(), 1);
    assert!(matches!(
        World::new().poll(&store, "erp").await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(store.errors(), 2);
}

#[tokio::test]
async fn a_file_that_is_in_use_works_once_it_is_free() {
    let scene = Scene::new().await;
    let first = open(&scene.path);
    let second = open(&scene.path);
    let failed = scene.world.poll(&second, "erp").await;
    let Err(Error::Unavailable(reason)) = failed else {
        panic!("{failed:?}");
    };
    assert!(
        reason.ends_with("is in use by another odoo-mfa-exporter"),
        "{reason}"
    );
    first.close().await;
    assert_eq!(counters(&second, "erp").await.map(|it| total(&it)), Some(1));
    assert_eq!(second.health().failing, None);
}

#[tokio::test]
async fn a_poll_that_meets_a_lock_is_counted_by_the_next() {
    let Scene {
        _directory,
        path,
        mut world,
    } = Scene::new().await;
    let store = open(&path);
    let operator = Connection::open(&path).expect("opened");
    operator.execute_batch("BEGIN IMMEDIATE").expect("locked");
    world.later().totp.remove(11);
    assert!(matches!(
        world.poll(&store, "erp").await,
        Err(Error::Failed(_))
    ));
    assert!(store.health().failing.is_some());
    operator.execute_batch("ROLLBACK").expect("unlocked");
    world.later().totp.remove(12);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!((recorded.changes.len(), total(&recorded.counters)), (2, 3));
    assert_eq!((store.health().failing, store.errors()), (None, 1));
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_committed_and_counts_later() {
    let Scene {
        _directory,
        path,
        mut world,
    } = Scene::new().await;
    let store = open(&path);
    let limit = async |pages: i64| {
        let set = store.call(move |connection, _| {
            Ok(connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
        });
        set.await.expect("set");
    };
    limit(1).await;
    let mut failed = 0;
    // A call that needs no other page is still written; then none is.
    for person in 31..=5000 {
        world.later().internal.insert(person * 100_000);
        if let Err(error) = world.poll(&store, "erp").await {
            assert!(matches!(error, Error::Failed(_)), "{error}");
            failed += 1;
            if failed == 3 {
                break;
            }
        }
    }
    assert_eq!((failed, store.errors()), (3, 3));
    let before = counters(&store, "erp").await.expect("counters");
    assert_eq!(total(&before), 1);
    world.later().totp.remove(11);
    assert!(world.poll(&store, "erp").await.is_err());
    limit(i64::from(i32::MAX)).await;
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(total(&recorded.counters), 2);
    assert_eq!(
        recorded.changes.len(),
        4,
        "three who joined meanwhile, and one without a factor"
    );
}

#[tokio::test]
async fn a_corrupt_file_is_moved_aside_whole() {
    let scene = Scene::new().await;
    fs::write(&scene.path, "not a database, but possibly valuable").expect("written");
    let store = open(&scene.path);
    let [moved] = scene.moved_aside().try_into().expect("one file");
    assert_eq!(
        fs::read_to_string(&moved).expect("read"),
        "not a database, but possibly valuable"
    );
    assert_eq!(
        (store.health().moved_aside, store.errors()),
        (Some(moved), 1)
    );
    assert_eq!(counters(&store, "erp").await, None);
    let recorded = scene.world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(total(&recorded.counters), 0);
}

#[tokio::test]
async fn damage_inside_the_file_is_found_at_the_start() {
    let scene = Scene::new().await;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(&scene.path)
        .expect("opened");
    let length = file.metadata().expect("metadata").len();
    for page in 1..length / 4096 {
        file.seek(SeekFrom::Start(page * 4096)).expect("there");
        file.write_all(&[0xAA; 64]).expect("written");
    }
    drop(file);
    let store = open(&scene.path);
    assert_eq!(scene.moved_aside().len(), 1);
    assert!(scene.world.poll(&store, "erp").await.is_ok());
}

#[tokio::test]
async fn damage_that_shows_later_is_moved_aside_too() {
    let scene = Scene::new().await;
    let store = open(&scene.path);
    let spoilt =
        store.call(|connection, _| Ok(connection.execute("UPDATE id_set SET ids = x'00'", [])?));
    spoilt.await.expect("spoilt");
    assert!(matches!(
        scene.world.poll(&store, "erp").await,
        Err(Error::Corrupt(_))
    ));
    assert!(!scene.moved_aside().is_empty());
    assert!(scene.world.poll(&store, "erp").await.is_ok());
    assert_eq!(counters(&store, "erp").await.map(|it| total(&it)), Some(0));
}

#[tokio::test]
async fn a_later_version_and_another_program_are_refused_untouched() {
    let scene = Scene::new().await;
    let change = |pragma: &str, value: i64| {
        let connection = Connection::open(&scene.path).expect("opened");
        connection
            .pragma_update(None, pragma, value)
            .expect("changed");
    };
    change("user_version", 7);
    let before = fs::read(&scene.path).expect("read");
    let refused =
        Store::open(Location::Path(scene.path.clone()), Limits::default()).expect_err("refused");
    let text = refused.to_string();
    assert!(
        text.contains("store.db was written by a later version (format 7, supported up to 3)"),
        "{text}"
    );
    let error = Reader::open(&scene.path).expect_err("refused").to_string();
    assert!(error.contains("later version"), "{error}");
    change("application_id", 1);
    let refused =
        Store::open(Location::Path(scene.path.clone()), Limits::default()).expect_err("refused");
    assert!(matches!(refused, Refused::Foreign(_)));
    change("application_id", i64::from(schema::APPLICATION_ID));
    assert_eq!(fs::read(&scene.path).expect("read").len(), before.len());
    change(
        "user_version",
        i64::try_from(schema::VERSION).expect("small"),
    );
    assert_eq!(
        counters(&open(&scene.path), "erp")
            .await
            .map(|it| total(&it)),
        Some(1)
    );
}

/// The file is written again from the open one, so that nothing is lost.
#[tokio::test]
async fn a_file_that_is_deleted_is_noticed_and_written_again() {
    let Scene {
        _directory,
        path,
        mut world,
    } = Scene::new().await;
    let store = open(&path);
    world.later().totp.remove(11);
    world.poll(&store, "erp").await.expect("recorded");
    for side in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{side}", path.display()));
    }
    world.later().totp.remove(12);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!((total(&recorded.counters), store.errors()), (3, 1));
    store.close().await;
    let again = open(&path);
    assert_eq!(counters(&again, "erp").await.map(|it| total(&it)), Some(3));
    assert_eq!(again.errors(), 0);
    // Its directory as well.
    fs::remove_dir_all(path.parent().expect("a directory")).expect("removed");
    world.later().totp.remove(13);
    let recorded = world.poll(&again, "erp").await.expect("recorded");
    assert_eq!((total(&recorded.counters), again.errors()), (4, 1));
    assert!(path.exists());
}

#[tokio::test]
async fn another_file_in_its_place_is_noticed_and_opened() {
    let scene = Scene::new().await;
    let other = Scene::new().await;
    let store = open(&scene.path);
    assert_eq!(counters(&store, "erp").await.map(|it| total(&it)), Some(1));
    fs::rename(&other.path, &scene.path).expect("renamed");
    assert_eq!(counters(&store, "erp").await.map(|it| total(&it)), Some(1));
    assert_eq!(store.errors(), 1);
}

#[tokio::test]
async fn a_file_without_bytes_is_reported() {
    let scene = Scene::new().await;
    fs::write(&scene.path, "").expect("written");
    let store = open(&scene.path);
    let (_, reason) = store.health().failing.expect("reported");
    assert!(reason.contains("the file was empty"), "{reason}");
    assert_eq!(counters(&store, "erp").await, None);
    scene.world.poll(&store, "erp").await.expect("recorded");
    assert_eq!((store.errors(), store.health().failing), (1, None));
    // A file that is new is no such file.
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(open(&directory.path().join("new.db")).errors(), 0);
    // While it is in use.
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&scene.path)
        .expect("emptied");
    scene.world.poll(&store, "erp").await.expect("recorded");
    assert!(store.errors() >= 2, "{}", store.errors());
}

/// Time is paused, so deadlines pass as soon as nothing else can run.
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_is_an_error_within_a_deadline() {
    let store = memory();
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let began = tokio::time::Instant::now();
    let waits = move |_: &mut Open, _: &Limits| {
        let _ = hang.recv();
        Ok(())
    };
    let late = store.call(waits).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
    let baseline = store.baseline("erp", Duration::MAX).await;
    assert!(
        matches!(baseline, Err(Error::Unavailable(_))),
        "{baseline:?}"
    );
    assert_eq!(began.elapsed().as_secs(), 12);
    assert_eq!(store.errors(), 2);
    drop(release);
}

/// A disk that hangs: the calls that wait are bounded, one more fails at once, and a call that no caller waits for is not done.
#[tokio::test]
async fn too_many_calls_fail_and_those_whose_caller_left_are_skipped() {
    let store = memory();
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let hanging = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .call(move |_, _| {
                    let _ = hang.recv();
                    Ok(())
                })
                .await
        })
    };
    let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let call = || {
        let done = Arc::clone(&done);
        store.call(move |_, _| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    tokio::task::yield_now().await;
    let mut waiting: Vec<_> = (0..QUEUE + 1).map(|_| Box::pin(call())).collect();
    // Each is put into the queue when it is first looked at; the hanging one may be in it, too.
    let mut refused = 0;
    for call in &mut waiting {
        if let std::task::Poll::Ready(answer) = futures::poll!(call) {
            assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
            refused += 1;
        }
    }
    assert!((1..=2).contains(&refused), "{refused}");
    assert_eq!(store.errors(), refused);
    let (_, reason) = store.health().failing.expect("reported");
    assert!(reason.contains("calls wait for the disk"), "{reason}");
    drop(waiting);
    release.send(()).expect("it hangs");
    hanging.await.expect("no panic").expect("done");
    call().await.expect("done");
    assert_eq!(done.load(Ordering::Relaxed), 1, "only the last one");
}

#[tokio::test]
async fn a_clock_that_steps_back_stops_nothing() {
    let Scene {
        _directory,
        path,
        mut world,
    } = Scene::new().await;
    let store = open(&path);
    world.now -= SignedDuration::from_hours(24 * 365);
    world.totp.remove(11);
    let recorded = world.poll(&store, "erp").await.expect("recorded");
    assert_eq!(total(&recorded.counters), 2);
    assert_eq!(
        store
            .history("erp", Range::default())
            .await
            .expect("read")
            .len(),
        3
    );
    world.later();
    assert_eq!(
        total(&world.poll(&store, "erp").await.expect("recorded").counters),
        2
    );
}

#[tokio::test]
async fn no_other_user_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("new").join("store.db");
    let store = open(&path);
    World::new().poll(&store, "erp").await.expect("recorded");
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.db.lock"] {
        let mode = fs::metadata(path.with_file_name(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mode = fs::metadata(path.parent().expect("a directory"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn what_is_written_is_on_the_disk_before_it_counts() {
    let Scene {
        _directory, path, ..
    } = Scene::new().await;
    let store = open(&path);
    let pragmas = store.call(|connection, _| {
        let journal: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let synchronous: i64 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        Ok((journal, synchronous))
    });
    assert_eq!(pragmas.await, Ok(("wal".to_owned(), 2)));
}
