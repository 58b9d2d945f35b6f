//! Marks over the end of a process and of the machine's run.

use super::Rig;
use crate::store::{Mark, run_of_machine};

#[test]
fn a_mark_outlives_the_process_and_is_no_word_after_the_machine_was_started_anew() {
    let run = run_of_machine();
    let rig = Rig::new();
    let certain = |text: &str| Mark::Certain(text.to_owned());
    assert_eq!(rig.store.marked("slot-a-2C", run.as_deref()), certain(""));
    rig.store.mark("slot-a-2C", "set-7").unwrap();
    let rig = rig.reopened();
    assert_eq!(rig.store.marked("slot-a-2C", run.as_deref()), certain("set-7"));
    assert_eq!(rig.store.marked("slot-a-2D", run.as_deref()), certain(""));
    for earlier in [Some("00000000-0000-0000-0000-000000000000"), None] {
        assert_eq!(rig.store.marked("slot-a-2C", earlier), Mark::Lost);
    }
    rig.store.mark("slot-a-2C", "").unwrap();
    assert_eq!(rig.store.marked("slot-a-2C", run.as_deref()), certain(""));
}
