-- What a poll reports, read from the database itself: the floor under its time. For Odoo 14 to 19.
SELECT share, active, count(*), count(*) FILTER (WHERE totp_secret <> ''), count(*) FILTER (WHERE seen IS NULL),
       count(*) FILTER (WHERE users.create_date > now() AT TIME ZONE 'utc' - interval '7 days')
  FROM res_users users LEFT JOIN (SELECT create_uid, max(create_date) seen FROM res_users_log GROUP BY 1) logins ON logins.create_uid = users.id
 GROUP BY 1, 2;
SELECT id, active, totp_secret <> '', create_date FROM res_users WHERE NOT share ORDER BY id;
SELECT gid, uid FROM res_groups_users_rel
 WHERE gid IN (SELECT res_id FROM ir_model_data WHERE model = 'res.groups' AND name LIKE 'group%manager' OR name IN ('group_system', 'group_erp_manager'));
SELECT user_id, scope, keys.create_date, active, share FROM res_users_apikeys keys JOIN res_users users ON users.id = user_id;
SELECT user_id, create_date FROM auth_totp_device;
SELECT key, value FROM ir_config_parameter WHERE key LIKE 'auth_%';
