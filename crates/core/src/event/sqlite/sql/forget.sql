DELETE FROM pumasi_event_known WHERE n <= (SELECT max(n) FROM pumasi_event_known) - ?1
