DELETE FROM pumasi_event_delivery WHERE sub IN (SELECT sub FROM pumasi_event_subscription WHERE grp = ?1);

DELETE FROM pumasi_event_lane WHERE sub IN (SELECT sub FROM pumasi_event_subscription WHERE grp = ?1);

DELETE FROM pumasi_event_dead WHERE sub IN (SELECT sub FROM pumasi_event_subscription WHERE grp = ?1);

DELETE FROM pumasi_event_subscription WHERE grp = ?1 RETURNING 1
