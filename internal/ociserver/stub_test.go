package ociserver_test

var manifestScripts []script
var referrerScripts []script
var deleteScripts []script
var listScripts []script
var errorScripts []script
