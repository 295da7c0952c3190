//! Sentences that are pieces of others, and numbers that are written in other ways.

use pumasi_rag::answer::{Doubt, Grounding, Verdict};

fn verdict(source: &str, claim: &str) -> Verdict {
    Grounding::of("", [source]).check(claim, &[1]).unwrap().0
}

#[test]
fn a_piece_of_a_sentence_is_no_quote_where_the_rest_of_it_says_otherwise() {
    for (source, claim) in [
        ("Do not take gels with sports drinks.", "Take gels with sports drinks."),
        ("Never stretch a torn muscle.", "Stretch a torn muscle."),
        ("Replace running shoes after 1700 km.", "700 km."),
        ("Wait 115 minutes before you run again.", "15 minutes before you run again."),
        ("It is unsafe to run with a fever.", "Safe to run with a fever."),
        ("It is a myth that you should drink as much as possible.", "You should drink as much as possible."),
        ("No doctor recommends running through bone pain.", "Doctor recommends running through bone pain."),
        ("Non-alcoholic beer may be drunk after a run.", "Alcoholic beer may be drunk after a run."),
        ("러닝화는 1500km를 달리면 바꿉니다.", "500km를 달리면 바꿉니다."),
        ("하루에 물 12리터를 마시면 위험합니다.", "2리터를 마시면 위험합니다."),
        ("열이 나지 않으면 가볍게 달려도 됩니다.", "가볍게 달려도 됩니다."),
        ("의사가 허락하지 않으면 대회에 나가지 않습니다.", "허락하지 않으면 대회에 나가지"),
        ("아프지 않은 사람은 매일 달려도 됩니다.", "사람은 매일 달려도 됩니다."),
        ("무알코올 맥주는 달린 뒤에 마셔도 됩니다.", "알코올 맥주는 달린 뒤에 마셔도 됩니다."),
        ("비의료인이 주사를 놓으면 안 됩니다.", "의료인이 주사를 놓으면 안 됩니다."),
        ("미성년자는 카페인 젤을 먹지 않습니다.", "성년자는 카페인 젤을 먹지 않습니다."),
        ("부적절한 신발은 무릎에 나쁩니다.", "적절한 신발은 무릎에 나쁩니다."),
    ] {
        assert!(verdict(source, claim).is_unsupported(), "{claim} {:?}", verdict(source, claim));
    }
    assert_eq!(
        verdict("열이 나지 않으면 가볍게 달려도 됩니다.", "가볍게 달려도 됩니다."),
        Verdict::Unsupported(Doubt::Condition)
    );
}

#[test]
fn whole_sentences_are_quotes_and_harmless_pieces_are_borne_out() {
    let source = "통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다. 무릎이 부으면 병원에 갑니다.";
    for claim in ["그다음 20분을 걷습니다", "통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다."]
    {
        assert_eq!(verdict(source, claim), Verdict::Quoted, "{claim}");
    }
    // 쉰 is no fifty here
    let rested = verdict(source, "사흘 쉰 뒤에는 20분 걷기부터 시작하세요.");
    assert_ne!(rested, Verdict::Unsupported(Doubt::Number));
    // what the question says already need not be said again
    let grounding =
        Grounding::of("열이 나지 않는데 달려도 되나요?", ["열이 나지 않으면 가볍게 달려도 됩니다."]);
    assert_eq!(grounding.check("가볍게 달려도 됩니다.", &[1]).unwrap().0, Verdict::Supported);
    assert_eq!(
        verdict("On hot days, drink water early and often.", "Drink water early and often."),
        Verdict::Quoted
    );
    assert_eq!(
        verdict("Runners drink water early and often.", "Drink water early and often."),
        Verdict::Supported
    );
    // another sentence says it without a condition
    let twice = "If you have no fever, a light run is fine. A light run is fine.";
    assert_eq!(verdict(twice, "A light run is fine."), Verdict::Quoted);
}

#[test]
fn numbers_agree_however_they_are_written() {
    for (source, claim) in [
        ("장거리는 일요일에 18km까지 늘립니다.", "장거리는 일요일에 18킬로까지 늘립니다."),
        ("몸무게가 60kg이면 물을 더 마십니다.", "몸무게가 60킬로이면 물을 더 마십니다."),
        ("젤은 물 150ml와 함께 먹습니다.", "젤은 물 150밀리리터와 함께 먹습니다."),
        ("젤은 물 150ml와 함께 먹습니다.", "젤은 물 백오십 ml와 함께 먹습니다."),
        ("보폭은 80cm로 줄입니다.", "보폭은 80센티로 줄입니다."),
        ("준비에는 3개월이 걸립니다.", "준비에는 석 달이 걸립니다."),
        ("준비에는 4주가 걸립니다.", "준비에는 넉 주가 걸립니다."),
        ("신발은 1000 km를 달리면 바꿉니다.", "신발은 천 km를 달리면 바꿉니다."),
        ("장거리는 1시간 30분 달립니다.", "장거리는 90분 달립니다."),
        ("Run for 1 hour 30 minutes on Sundays.", "Run for 90 minutes on Sundays."),
        ("Take a gel with 150 ml of water.", "Take a gel with 150 millilitres of water."),
        ("Take a gel with 150 ml of water.", "Take a gel with 150 milliliters of water."),
        ("A runner of 60 kg drinks more water.", "A runner of 60 kilos drinks more water."),
        ("Warm up before a 5 km race.", "Warm up before a 5k race."),
    ] {
        assert_eq!(verdict(source, claim), Verdict::Supported, "{claim}");
    }
}

#[test]
fn other_numbers_are_doubted_and_those_of_another_place() {
    let gel = "Take a gel every 40 minutes with 150 ml of water, starting 45 minutes into the race.";
    let train = "하프 마라톤은 12주 동안 준비합니다. 신발은 500km에서 800km를 달리면 바꿉니다.";
    for (source, claim) in [
        (gel, "Take a gel every 45 minutes with 150 ml of water."),
        (gel, "Take a gel every forty-five minutes."),
        (gel, "Take a gel every 40 minutes with 150 litres of water."),
        (train, "하프 마라톤은 열네 주 동안 준비합니다."),
        (train, "신발은 오백 미터에서 팔백 미터를 달리면 바꿉니다."),
        (train, "신발은 천 km를 달리면 바꿉니다."),
        ("그다음 20분을 걷습니다.", "그다음 이백 분을 걷습니다."),
        ("20분 걷고 5분 뜁니다.", "5분 걷고 20분 뜁니다."),
        ("장거리는 90분 달립니다.", "장거리는 1시간 20분 달립니다."),
    ] {
        assert_eq!(verdict(source, claim), Verdict::Unsupported(Doubt::Number), "{claim}");
    }
    for claim in ["Your first gel comes at the 45-minute mark.", "Have a gel each 40 min."] {
        assert_ne!(verdict(gel, claim), Verdict::Unsupported(Doubt::Number), "{claim}");
    }
}
