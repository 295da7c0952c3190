//! Quotes that stand in the source letter by letter and still say something else, and the twins that do not.

use super::*;

fn all_refused(cases: &[(&str, &str)], reasons: &[Miss]) {
    let mut found = Vec::new();
    for (source, quote) in cases {
        let lookup = Aligner::new(source).lookup(quote);
        if !lookup.found.is_empty() || !lookup.miss.is_some_and(|miss| reasons.contains(&miss)) {
            found.push(format!(
                "{quote:?} of {source:?}: {:?} {:?}",
                lookup.found.first().map(|f| f.fit),
                lookup.miss
            ));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn all_found(cases: &[(&str, &str)]) {
    let mut lost = Vec::new();
    for (source, quote) in cases {
        let lookup = Aligner::new(source).lookup(quote);
        if lookup.found.first().is_none_or(|found| found.fit != Fit::Exact) {
            lost.push(format!("{quote:?} of {source:?}: {:?}", lookup.miss));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn a_part_of_a_number_is_no_quote() {
    all_refused(
        &[
            ("어제 모임에 서른두 명이 참석했다", "두 명이 참석했다"),
            ("쉰다섯 살에 다시 시작했다", "다섯 살에 다시 시작했다"),
            ("열여섯 시간을 잤어요", "여섯 시간을 잤어요"),
            ("이백오십 쪽을 읽었다", "오십 쪽을 읽었다"),
            ("삼천 오백 원을 냈다", "오백 원을 냈다"),
            ("2억 3천만 원에 팔았다", "3천만 원에 팔았다"),
            ("4만 2천 원을 썼어요", "2천 원을 썼어요"),
            ("4만 2천 원을 썼어요", "4만"),
            ("기온이 영하 12도였다", "12도였다"),
            ("성장률은 마이너스 3%였다", "3%였다"),
            ("스물한 살에 입대했다", "스물"),
            ("거리는 10km를 넘었다", "km를 넘었다"),
            ("제3의 길을 찾았다", "의 길을 찾았다"),
            ("two hundred and seven guests arrived", "seven guests arrived"),
            ("two hundred and seven guests arrived", "two hundred"),
            ("a crowd of three thousand people", "thousand people"),
            ("we walked twenty-two miles", "two miles"),
            ("we walked twenty two miles", "two miles"),
            ("she slept two and a half hours", "a half hours"),
            ("half a million visitors came", "a million visitors came"),
            ("a city of 25 000 people", "000 people"),
            ("a city of 25 000 people", "a city of 25"),
            ("it was minus 12 degrees outside", "12 degrees outside"),
            ("growth was negative 3 percent", "3 percent"),
            ("a 5-year plan was made", "year plan was made"),
            ("vitamin B12 helped me", "12 helped me"),
            ("about 40% of us left", "about 40"),
            ("it takes 2 1/2 hours", "1/2 hours"),
        ],
        &[Miss::Number],
    );
    all_found(&[
        ("어제 모임에 서른두 명이 참석했다", "서른두 명이 참석했다"),
        ("이틀 만에 다섯 권을 읽었다", "다섯 권을 읽었다"),
        ("친구 다섯 명과 뛰었다", "다섯 명과 뛰었다"),
        ("회원 10명이 5만 원씩 냈다", "5만 원씩 냈다"),
        ("오늘은 5천만 원을 벌었다", "5천만 원을 벌었다"),
        ("3시에 30분을 걸었다", "30분을 걸었다"),
        ("영하의 날씨에 5km를 뛰었다", "5km를 뛰었다"),
        ("오백 원을 내고 두 개를 샀다", "두 개를 샀다"),
        ("이 사람이 오십 권을 읽었다", "오십 권을 읽었다"),
        ("한 달에 두 번 갔다", "두 번 갔다"),
        ("we bought bread and five apples", "five apples"),
        ("I ran 10 miles and 5 more", "5 more"),
        ("day 10 was the hardest", "10 was the hardest"),
        ("in 2020 100 people came", "100 people came"),
        ("chapter two five people left", "five people left"),
        ("it cost ten dollars", "dollars"),
        ("a crowd of three thousand people", "three thousand people"),
        ("a crowd of three thousand people", "a crowd of three thousand"),
        ("we walked twenty-two miles", "twenty-two miles"),
        ("a 5-year plan was made", "5-year plan was made"),
        ("half a day is enough", "a day is enough"),
    ]);
}

#[test]
fn a_quote_that_loses_its_denial_or_is_taken_back_is_refused() {
    all_refused(
        &[
            ("we booked a non-stop flight home", "stop flight home"),
            ("an anti-war march was held", "war march was held"),
            ("the un-washed fruit was eaten", "washed fruit was eaten"),
            ("my ex-boss called again", "boss called again"),
            ("a gluten-free cake was served", "a gluten"),
            ("Nobody finished the course", "finished the course"),
            ("None of my friends passed the exam", "passed the exam"),
            ("No runner in our club quit the race", "quit the race"),
            ("Neither of them paid the rent", "paid the rent"),
            ("Few members kept the habit", "kept the habit"),
            ("Not everyone finished the course", "finished the course"),
            ("I was tired because nobody helped me", "helped me"),
            ("I hardly ate anything at lunch", "ate anything at lunch"),
            ("I almost finished the course", "finished the course"),
            ("I no longer smoke at home", "smoke at home"),
            ("we left without paying the bill", "paying the bill"),
            ("I did not really finish it", "finish it"),
            ("they were homeless last winter", "they were home"),
            ("the flight was cancelled at noon", "the flight"),
            ("합격 취소되었다고 들었다", "합격"),
            ("계약이 무산되었습니다", "계약이"),
            ("이번 공연은 환불 불가입니다", "환불"),
            ("실내 흡연 금지입니다", "실내 흡연"),
            ("대회 참가를 포기했습니다", "대회 참가를"),
            ("거의 우승할 뻔했어요", "우승할"),
            ("다 끝낸 줄 알았는데 남았다", "다 끝낸"),
            ("담배를 끊었다고 거짓말했다", "담배를 끊었다"),
            ("반체제 인사가 왔다", "체제 인사가 왔다"),
            ("부정확한 기록이었다", "정확한 기록이었다"),
        ],
        &[Miss::Negation],
    );
    all_found(&[
        ("we booked a non-stop flight home", "non-stop flight home"),
        ("Nobody helped, so I finished the course alone", "I finished the course alone"),
        ("Nobody finished the course", "Nobody finished the course"),
        ("Nobody told me that I passed", "I passed"),
        ("None of my friends came, and we finished the race", "finished the race"),
        ("A few members kept the habit", "kept the habit"),
        ("Nobody came to the gym in May", "in May"),
        ("I almost never eat bread. I finished the course", "finished the course"),
        ("I run almost every day at dawn", "every day at dawn"),
        ("No pain, no gain: I ran every day", "I ran every day"),
        ("the flight was late at noon", "the flight"),
        ("합격 통지를 받았다", "합격"),
        ("예약을 바꿨다. 취소는 나중 일이다", "예약을 바꿨다"),
        ("실패를 딛고 합격했다", "합격했다"),
        ("세 번 실패했지만 결국 합격했습니다", "결국 합격했습니다"),
        ("포기하지 않고 매일 뛰었다", "매일 뛰었다"),
        ("반년 동안 정부 일을 했다", "정부 일을 했다"),
        ("담배를 끊었다고 말했다", "담배를 끊었다"),
    ]);
}

#[test]
fn a_piece_of_a_name_or_a_word_is_no_quote() {
    all_refused(
        &[
            ("I met Christine at the gym", "I met Christ"),
            ("we moved to Washington in May", "we moved to Wash"),
            ("we moved to Minneapolis in May", "Minnea"),
            ("he comes from Romania and is tall", "he comes from Roman"),
            ("the Nigerian team won", "the Niger"),
            ("we heard Johnson at the gate", "we heard John"),
            ("I ran a marathon in spring", "I ran a mara"),
            ("the therapist told me to rest", "rapist told me to rest"),
            ("she was overjoyed at the news", "joyed at the news"),
            ("어제 박서준을 만났다", "어제 박서"),
            ("어제 김하늘이 왔다", "어제 김하"),
            ("이력서를 새로 썼다", "이력"),
            ("약물을 끊었다", "물을 끊었다"),
            ("Kafka를 배웠다", "를 배웠다"),
        ],
        &[Miss::Name, Miss::Wording, Miss::Negation],
    );
    all_found(&[
        ("I met Christine's brother at the gym", "I met Christine"),
        ("we ran two marathons in spring", "two marathon"),
        ("어제 박서준을 만났다", "어제 박서준"),
        ("어제 박서준을 만났다", "박서준을 만났다"),
        ("학교에서 운동을 시작했습니다", "학교에서 운동"),
        ("매일 영어를 공부했습니다", "매일 영어를 공부했"),
        ("매일 영어를 공부했습니다", "매일 영어를 공부"),
        ("마라톤대회에 나갔다", "마라톤"),
        ("코치님이 알려 주셨다", "코치"),
        ("길안내를 받았습니다", "안내를 받았습니다"),
        ("Kafka를 배웠다", "Kafka"),
    ]);
}

#[test]
fn what_is_left_out_failed_or_stopped_is_no_quote_without_its_word() {
    all_refused(
        &[
            ("Everyone except Tom may leave.", "Tom may leave"),
            ("Everybody except for the interns attended the meeting.", "the interns attended the meeting"),
            ("It is false that Anna passed the exam.", "Anna passed the exam"),
            ("It is not true that Anna passed the exam.", "Anna passed the exam"),
            ("It is untrue that the bridge collapsed.", "the bridge collapsed"),
            ("There is no evidence that the drug works.", "the drug works"),
            ("We found no proof that he stole it.", "he stole it"),
            ("I doubt that he will come tomorrow.", "he will come tomorrow"),
            ("Anna denied that she stole the money.", "she stole the money"),
            ("He failed to finish the marathon.", "finish the marathon"),
            ("She refused to take the medicine daily.", "take the medicine daily"),
            ("I was unable to run the race.", "run the race"),
            ("We forgot to pay the rent.", "pay the rent"),
            ("Stop taking aspirin every day.", "taking aspirin every day"),
            ("You should avoid running every morning.", "running every morning"),
            ("He quit smoking two packs a day.", "smoking two packs a day"),
            ("I gave up eating meat last year.", "eating meat last year"),
            ("The injury kept him from running the race.", "running the race"),
            ("Please refrain from eating before the test.", "eating before the test"),
            ("Instead of running 10 km, I walked.", "running 10 km"),
            ("I rested rather than run the race.", "run the race"),
            ("I was too tired to run the race.", "run the race"),
            ("I could have won the race in Seoul.", "won the race in Seoul"),
            ("I used to run every day.", "run every day"),
            ("It does not mean that the drug is safe.", "the drug is safe"),
            ("He pretended to read the book.", "read the book"),
            ("It is unlikely that the team wins.", "the team wins"),
            ("Nobody but Anna passed the exam.", "Anna passed the exam"),
            ("It is a myth that sugar causes it.", "sugar causes it"),
            ("I wish I had run every day.", "I had run every day"),
            ("수술 전 8시간 동안 물을 마시면 안 됩니다.", "수술 전 8시간 동안 물을 마시면"),
            ("수술 전에는 음식을 먹으면 안 된다.", "음식을 먹으면"),
            ("여기서 담배를 피워서는 안 됩니다.", "여기서 담배를 피워서는"),
            ("약을 술과 함께 먹으면 안돼요.", "약을 술과 함께 먹으면"),
            ("철수만 빼고 모두 합격했다.", "모두 합격했다"),
            ("한 명을 제외하고 전원 참석했습니다.", "전원 참석했습니다"),
            ("월요일을 제외한 모든 날에 달렸다.", "모든 날에 달렸다"),
            ("그가 합격했을 리가 없다.", "그가 합격했을"),
            ("매일 달리기를 그만뒀다.", "매일 달리기를"),
            ("거의 완주했다.", "완주했다"),
            ("마라톤을 완주하는 데 실패했다.", "마라톤을 완주하는"),
            ("약을 더 먹을 필요가 없습니다.", "약을 더 먹을"),
            ("매일 달리기는커녕 걷지도 못했다.", "매일 달리기"),
        ],
        &[Miss::Negation],
    );
    all_found(&[
        ("Everyone except Tom may leave.", "Everyone except Tom may leave"),
        ("It is true that Anna passed the exam.", "Anna passed the exam"),
        ("There is strong evidence that the drug works.", "the drug works"),
        ("There is no doubt that the drug works.", "the drug works"),
        ("I believe that he will come tomorrow.", "he will come tomorrow"),
        ("Anna said that she left the money.", "she left the money"),
        ("He managed to finish the marathon.", "finish the marathon"),
        ("He failed to finish the marathon.", "failed to finish the marathon"),
        ("She decided to take the medicine daily.", "take the medicine daily"),
        ("Keep taking aspirin every day.", "taking aspirin every day"),
        ("Start running every morning.", "running every morning"),
        ("I love running every morning.", "running every morning"),
        ("I am used to it. I run every day.", "I run every day"),
        ("He stopped and started running again.", "started running again"),
        ("I quit my job and run every day.", "run every day"),
        ("I was tired but I finished the race.", "I finished the race"),
        ("I must have lost the keys.", "lost the keys"),
        ("Except on Sunday, I run every day.", "I run every day"),
        ("She stopped at noon. Taking aspirin helped.", "Taking aspirin helped"),
        ("I want to run every day.", "run every day"),
        ("We plan to finish the marathon.", "finish the marathon"),
        ("He tried to finish the marathon.", "finish the marathon"),
        ("The report shows that the drug works.", "the drug works"),
        ("I am sure that Anna passed the exam.", "Anna passed the exam"),
        ("Not only Tom but also Anna passed.", "Anna passed"),
        ("No wonder that he won.", "he won"),
        ("I got up at six and ran 10 km.", "ran 10 km"),
        ("물을 마시면 됩니다.", "물을 마시면"),
        ("물을 마시면 건강에 좋습니다.", "물을 마시면"),
        ("매일 물을 마셔서 건강합니다.", "매일 물을 마셔서"),
        ("모두 합격했다.", "모두 합격했다"),
        ("철수를 포함해 모두 합격했다.", "모두 합격했다"),
        ("철수를 빼고 영희를 넣었다.", "영희를 넣었다"),
        ("거의 매일 달렸다.", "매일 달렸다"),
        ("그가 합격했을 것이다.", "그가 합격했을"),
        ("매일 달리기를 시작했다.", "매일 달리기를"),
        ("약을 더 먹을 수 있습니다.", "약을 더 먹을"),
        ("담배를 끊으려고 매일 달렸다.", "매일 달렸다"),
        ("마라톤을 완주하는 데 성공했다.", "마라톤을 완주하는"),
        ("비가 와서 안 나갔다. 물을 마시면 좋다.", "물을 마시면 좋다"),
    ]);
}
