use datafusion::execution::disk_manager::DiskManager;

use super::*;

fn files(parent: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(parent).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

fn write(disk: &Arc<DiskManager>, bytes: usize) -> Result<Arc<dyn SpillFile>, io::Error> {
    let file = disk.create_tmp_file("testing").unwrap();
    file.open_writer().unwrap().write_all(&vec![0; bytes])?;
    Ok(file)
}

#[test]
fn one_statement_and_all_together_have_their_limits() {
    let parent = tempfile::tempdir().unwrap();
    let folder = SpillFolder::open(Some(parent.path()), 1500).unwrap();
    let (one, other) = (Usage::default(), Usage::default());
    let first = Arc::new(folder.share(1000, &one).build().unwrap());
    let second = Arc::new(folder.share(1000, &other).build().unwrap());

    let kept = write(&first, 900).unwrap();
    let too_much = write(&first, 200).map(|_| ()).unwrap_err();
    assert!(too_much.to_string().contains(TooMuchDisk::MESSAGE), "{too_much}");
    let too_much = write(&second, 700).map(|_| ()).unwrap_err();
    assert!(too_much.to_string().contains("used disk space"), "{too_much}");
    assert_eq!((one.spilled_now(), one.spilled(), folder.bytes()), (900, 900, 900));

    drop(kept);
    assert_eq!((one.spilled_now(), one.spilled(), folder.bytes()), (0, 900, 0));
    write(&second, 1000).unwrap();
    assert_eq!(other.spilled(), 1000);
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_others_use_stays() {
    let parent = tempfile::tempdir().unwrap();
    let left = parent.path().join("jetway-spill-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join(LOCK), "").unwrap();
    std::fs::write(left.join("rows"), vec![0; 1000]).unwrap();
    let foreign = parent.path().join("somebody-elses");
    std::fs::create_dir(&foreign).unwrap();

    let one = SpillFolder::open(Some(parent.path()), 1000).unwrap();
    assert!(!left.exists());
    let used = files(parent.path());
    let other = SpillFolder::open(Some(parent.path()), 1000).unwrap();
    assert!(
        used.iter().all(|path| path.exists()),
        "a folder was removed that is in use"
    );
    assert_eq!(files(parent.path()).len(), 3);
    drop((one, other));
    assert_eq!(files(parent.path()), [foreign]);
}
