//! Files that come, change, move and go.

use super::{Dir, service};

#[test]
fn a_changed_file_is_read_again_and_only_that_one() {
    let mut dir = Dir::new("changed");
    dir.write("web.yaml", &service("web", 80));
    dir.write("db.yaml", &service("db", 5432));
    assert_eq!(dir.events().len(), 2);
    assert_eq!(dir.events(), Vec::<String>::new(), "nothing has changed");
    dir.write("web.yaml", &service("web", 81));
    assert_eq!(dir.events(), ["Service default/web 81"]);
    dir.write("web.yaml", &service("shop", 81));
    assert_eq!(
        dir.events(),
        ["no Service default/web", "Service default/shop 81"],
        "what is gone goes first: it may have had the newcomer's address"
    );
    dir.write("web.yaml", "# nothing left\n");
    assert_eq!(dir.events(), ["no Service default/shop"]);
    dir.remove("db.yaml");
    assert_eq!(dir.events(), ["no Service default/db"]);
}

#[test]
fn an_object_that_moves_to_another_file_is_never_gone() {
    for (from, to) in [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")] {
        let mut dir = Dir::new(&format!("moved-{from}"));
        dir.write(from, &service("web", 80));
        dir.events();
        dir.rename(from, to);
        assert_eq!(
            dir.events(),
            ["Service default/web 80"],
            "the file's name changed"
        );

        let both = format!("{}---\n{}", service("web", 80), service("db", 5432));
        dir.write(to, &both);
        dir.events();
        dir.write(from, &service("web", 80));
        dir.write(to, &service("db", 5432));
        let mut events = dir.events();
        events.sort();
        assert_eq!(
            events,
            ["Service default/db 5432", "Service default/web 80"]
        );
        dir.remove(to);
        assert_eq!(
            dir.events(),
            ["no Service default/db"],
            "{to} owned db alone"
        );
    }
}

#[test]
fn of_two_files_with_one_object_the_first_by_name_wins() {
    let left_out = "b.yaml: Service default/web: is in ";
    // Whatever the order in which they came.
    for order in [["a.yaml", "b.yaml"], ["b.yaml", "a.yaml"]] {
        let mut dir = Dir::new(&format!("two-{}", order[0]));
        let ports = |name: &str| if name == "a.yaml" { 1 } else { 2 };
        dir.write(order[0], &service("web", ports(order[0])));
        dir.events();
        dir.write(order[1], &service("web", ports(order[1])));
        let (events, problems) = dir.load();
        let taken_over = order[1] == "a.yaml";
        let wanted: &[&str] = if taken_over {
            &["Service default/web 1"]
        } else {
            &[]
        };
        assert_eq!(events, wanted);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(left_out), "{problems:?}");
        assert!(
            problems[0].ends_with("a.yaml already; this one is left out"),
            "{problems:?}"
        );

        // A change of the one left out changes nothing.
        dir.write("b.yaml", &service("web", 3));
        let (events, problems) = dir.load();
        assert_eq!(events, Vec::<String>::new());
        assert_eq!(problems.len(), 1, "{problems:?}");

        // The first one gone, the other takes over, without a moment without.
        dir.remove("a.yaml");
        assert_eq!(dir.events(), ["Service default/web 3"]);
        dir.remove("b.yaml");
        assert_eq!(dir.events(), ["no Service default/web"]);
    }
}

#[test]
fn the_other_file_takes_over_when_the_first_one_drops_the_object() {
    let mut dir = Dir::new("drops");
    dir.write(
        "a.yaml",
        &format!("{}---\n{}", service("web", 1), service("db", 1)),
    );
    dir.write("b.yaml", &service("web", 2));
    dir.write("c.yaml", &service("web", 3));
    let (events, problems) = dir.load();
    assert_eq!(events, ["Service default/web 1", "Service default/db 1"]);
    assert_eq!(problems.len(), 2, "{problems:?}");

    dir.write("a.yaml", &service("db", 1));
    let (events, problems) = dir.load();
    assert_eq!(events, ["Service default/db 1", "Service default/web 2"]);
    let message = "b.yaml already; this one is left out";
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with(message), "{problems:?}");
}

#[test]
fn problems_last_as_long_as_their_cause() {
    let mut dir = Dir::new("last");
    dir.write("a.yaml", "kind: [\n");
    let (_, first) = dir.load();
    dir.write("b.yaml", &service("web", 80));
    let (_, later) = dir.load();
    assert_eq!(first, later, "another file's change is no end to it");
    dir.write("a.yaml", &service("db", 1));
    assert_eq!(dir.events(), ["Service default/db 1"]);
}

#[test]
fn twice_in_one_file_the_last_one_counts() {
    let mut dir = Dir::new("twice");
    dir.write(
        "a.yaml",
        &format!("{}---\n{}", service("web", 1), service("web", 2)),
    );
    let (events, problems) = dir.load();
    assert_eq!(
        events.last().map(String::as_str),
        Some("Service default/web 2")
    );
    assert_eq!(
        problems,
        ["a.yaml from line 10: Service default/web: is in this file twice; the last one counts"]
    );
}
